"""Divide a classifier's head by one temperature, so that its probabilities are near the share of right answers.

A model that learned the labels is too sure of them. The temperature is the geometric mean of those that fit each depth
best on held-out texts (Guo et al., ICML 2017). It is part of the weights, so every tool that reads the model has it.

    python recipes/temper.py MODEL HELD_OUT OUTPUT
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from elbert import Classifier
from elbert.evaluation.temperature import fit_temperatures
from precisions import outputs_of
from student import copy_with_weights, read_weights

HEAD = ("classifier.weight", "classifier.bias")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "held_out", "output"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    classifier = Classifier.load(args.model, "full", dtype="float32")
    every = fit_temperatures(outputs_of(classifier, str(args.held_out)))
    one = float(np.exp(np.mean(np.log(every))))
    weights = read_weights(args.model)
    for name in HEAD:
        weights[name] = (weights[name].float() / one).to(weights[name].dtype)
    copy_with_weights(args.model, weights, args.output)
    classifier.tokeniser.save(args.output)  # in a form that needs no class of its own
    print(f"temperature {one:.2f}; of each depth {' '.join(f'{t:.2f}' for t in every)}")


if __name__ == "__main__":
    main()
