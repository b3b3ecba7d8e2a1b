"""Average the weights of two states of one model: between runs that learned unlike things it is often better than both.

    python recipes/average.py FIRST SECOND OUTPUT [--share 0.5]

(Wortsman et al., CVPR 2022: robust fine-tuning by averaging weights.) Both are bases or both are classifiers that
``carry_general.py`` wrote; the output has the second one's other files, and one file of weights in float16.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from student import copy_with_weights, read_weights


def average(first: Path, second: Path, output: Path, share: float = 0.5) -> None:
    """Write the mean of both models' weights, in which the second has this share."""
    one, other = read_weights(first), read_weights(second)
    if {name: value.shape for name, value in one.items()} != {name: value.shape for name, value in other.items()}:
        raise SystemExit(f"{first} and {second}: expected weights of equal names and shapes")
    mean = {name: torch.lerp(value.float(), other[name].float(), share).half() for name, value in one.items()}
    copy_with_weights(second, mean, output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second's weights")
    arguments = parser.parse_args()
    average(arguments.first, arguments.second, arguments.output, arguments.share)


if __name__ == "__main__":
    main()
