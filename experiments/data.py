"""Cut the sets into fixed parts, and measure the linear baseline on them.

    python experiments/data.py [--sets trec6 subj …] [--data-dir ../shared/data]

Writes train, stopping, calibration and test as parquet into experiments/work/data/SET, with a manifest, and the
baselines into the record `linear`. What is there already is not made again.
"""

from __future__ import annotations

from lab.command import build_parser, build_places, print_line, run_command
from lab.linear import measure_baselines, published
from lab.parts import PARTS, prepare
from lab.sets import SETS, find_sets


def main(argv: list[str] | None) -> None:
    """Cut the sets, measure the baselines and print a line for each set."""
    reader = build_parser(__doc__)
    reader.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    reader.add_argument("--no-linear", action="store_true", help="without the baseline")
    arguments = reader.parse_args(argv)
    here, theirs = build_places(arguments), published()
    for data in find_sets(arguments.sets):
        prepared = prepare(data, here)
        sizes = "  ".join(f"{part} {prepared.rows(part):,}" for part in PARTS)
        line = f"{data.name:<10} {sizes}  (published: train {prepared.manifest['published']['train']:,})"
        if not arguments.no_linear:
            ours = measure_baselines(here, [prepared])[data.name]["accuracy"]
            line += f"  linear SVM {ours:.4f} (all rows: {theirs.get(data.name, {}).get('accuracy', 'not published')})"
        print_line(line)


if __name__ == "__main__":
    run_command(main)
