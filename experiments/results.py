"""Assemble the pages of results from the records and the hand-written texts.

python experiments/results.py [--output experiments/RESULTS.md]

Writes the index to ``--output`` and one page for each study (data, training, exits, wall_clock) into the results
folder.
"""

from __future__ import annotations

from pathlib import Path

from lab.command import build_parser, build_places, print_line, run_command
from lab.pages import pages
from lab.places import ROOT, write_text

HERE = ROOT / "experiments"


def main(argv: list[str] | None) -> None:
    """Write the index and the pages."""
    reader = build_parser(__doc__)
    reader.add_argument("--words", type=Path, default=HERE / "words", metavar="DIR")
    reader.add_argument("--output", type=Path, default=HERE / "RESULTS.md", metavar="FILE")
    arguments = reader.parse_args(argv)
    here = build_places(arguments)
    for name, text in pages(here, arguments.words).items():
        file = arguments.output if name == "index" else here.results / f"{name}.md"
        write_text(file, text)
        print_line(f"{file} written")


if __name__ == "__main__":
    run_command(main)
