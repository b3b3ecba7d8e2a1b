"""Assemble RESULTS.md from the kept results and the hand-written words.

python experiments/results.py [--output experiments/RESULTS.md]
"""

from __future__ import annotations

from pathlib import Path

from lab.assemble import document
from lab.command import ended, parser, places, say
from lab.places import ROOT, write_text

HERE = ROOT / "experiments"


def main(argv: list[str] | None) -> None:
    """Write it."""
    reader = parser(__doc__)
    reader.add_argument("--words", type=Path, default=HERE / "words.md", metavar="FILE")
    reader.add_argument("--output", type=Path, default=HERE / "RESULTS.md", metavar="FILE")
    arguments = reader.parse_args(argv)
    write_text(arguments.output, document(places(arguments), arguments.words))
    say(f"{arguments.output} written")


if __name__ == "__main__":
    ended(main)
