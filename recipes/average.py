"""Average the weights of two states of one base: between runs that learned unlike things it is often better than both.

    python recipes/average.py FIRST SECOND OUTPUT

(Wortsman et al., CVPR 2022: robust fine-tuning by averaging weights.) Both are folders that ``carry_general.py`` wrote;
the output has the second one's other files, and one file of weights in float16.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import AlbertModel


def average(first: Path, second: Path, output: Path) -> None:
    """Write the mean of both encoders' weights."""
    encoder, other = (AlbertModel.from_pretrained(folder, dtype=torch.float32) for folder in (first, second))
    theirs = other.state_dict()
    encoder.load_state_dict({name: (value + theirs[name]) / 2 for name, value in encoder.state_dict().items()})
    encoder.half().save_pretrained(output)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(second / name, output / name)
    config = json.loads((output / "config.json").read_text())
    for name in ("id2label", "label2id"):  # an encoder has no labels
        config.pop(name, None)
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    average(arguments.first, arguments.second, arguments.output)


if __name__ == "__main__":
    main()
