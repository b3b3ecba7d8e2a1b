"""Average the weights of two states of one base: between runs that learned unlike things it is often better than both.

    python recipes/average.py FIRST SECOND OUTPUT [--share 0.5]

(Wortsman et al., CVPR 2022: robust fine-tuning by averaging weights.) Both are folders that ``carry_general.py`` wrote;
the output has the second one's other files, and one file of weights in float16.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AlbertModel

from student import save


def average(first: Path, second: Path, output: Path, share: float = 0.5) -> None:
    """Write the mean of both encoders' weights, in which the second has this share."""
    encoder, other = (AlbertModel.from_pretrained(folder, dtype=torch.float32) for folder in (first, second))
    theirs = other.state_dict()
    encoder.load_state_dict(
        {name: torch.lerp(value, theirs[name], share) for name, value in encoder.state_dict().items()}
    )
    save(encoder.half(), output, second)


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
