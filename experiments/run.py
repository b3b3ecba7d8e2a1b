"""One fine-tuning run: a set, a way to train, a seed.

    python experiments/run.py --set trec6 --variant equal --seed 0 [--base DIR] [--threads N]
    python experiments/run.py --data FOLDER [--seed 0] [--base DIR] [--threads N]

Ways to train: equal, linear, learned, learned-no-floor, last-half, last-third,
alternating, centred, own, each with +distilled or +mean;
plain-K and plain-L. Outputs of the calibration and test parts go to experiments/work, what was measured to
the record runs/BASE/SET/WAY-SEED. A finished run is skipped; a killed one starts again.

With --data any folder is a set: train.parquet (text, label, and text_pair for pairs), labels.json, and test.parquet,
validation.parquet or folds.json. Its table (full depth, fixed depths, every policy at 2x, 3x, 5x and 10x, certificates
promised and held, the linear SVM) is printed and written to experiments/work/tables; the records of such runs are in
experiments/work too.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from lab import command
from lab.command import build_parser, build_places, print_line, run_command
from lab.data_folder import describe_folder
from lab.linear import measure_baselines
from lab.places import Places, write_text
from lab.runs import GENERAL_BASE, Run
from lab.set_table import build_set_table
from lab.sets import with_training
from lab.tables import percent


def main(argv: list[str] | None) -> None:
    """Make the run unless it is there."""
    reader = build_parser(__doc__)
    which = reader.add_mutually_exclusive_group(required=True)
    which.add_argument("--set", metavar="SET")
    which.add_argument("--data", type=Path, metavar="FOLDER", help="a set of one's own, as a folder")
    reader.add_argument("--variant", metavar="WAY", help="default: equal; with --data equal+fitted, as `elbert train`")
    reader.add_argument("--seed", type=int, default=0)
    reader.add_argument("--keep-model", action="store_true", help="also of seeds other than 0, whose model is kept")
    reader.add_argument("--outputs", action="store_true", help="make it again where its outputs are not here")
    reader.add_argument("--again", action="store_true", help="make it again in any case")
    command.add_base(reader)
    command.add_machine(reader)
    arguments = reader.parse_args(argv)
    if arguments.data is not None and arguments.base is None and GENERAL_BASE.exists():
        arguments.base = GENERAL_BASE
    here, start = build_places(arguments), command.open_base(arguments)
    if arguments.data is None:
        data = command.select_sets(arguments, [arguments.set])
    else:
        here = own_places(here, arguments.data)
        data = [with_training(describe_folder(arguments.data), arguments.epochs, arguments.rate)]
    way = arguments.variant or ("equal" if arguments.data is None else "equal+fitted")
    (run,) = command.build_runs(data, [way], [arguments.seed], start, here)
    make_or_skip(run, arguments)
    if arguments.data is not None:
        linear = measure_baselines(here, [run.prepared])
        table = build_set_table(run, linear[run.prepared.data.name])
        file = here.work / "tables" / f"{run.base.key}-{run.name.replace('/', '-')}.md"
        write_text(file, table + "\n")
        print_line(f"\n{table}\n\nwritten to {file}")


def own_places(here: Places, folder: Path) -> Places:
    """The folders for a set of one's own: its records are not those of the published results."""
    results = here.work / "results" if here.results == Places().results else here.results
    return replace(here, data=folder.resolve().parent, results=results)


def make_or_skip(run: Run, arguments: argparse.Namespace) -> None:
    """Make the run unless it is there, and print what it measured."""
    record = None if arguments.again else run.record()
    needs_outputs = arguments.outputs or arguments.data is not None
    if record is not None and (run.has_outputs or not needs_outputs):
        print_line(f"{run.name}: finished already ({run.record_name})")
    else:
        record = command.make_one(run, arguments, keep_model=arguments.keep_model)
    test = record["test"]
    print_line(f"{run.name}: test area {percent(test['area'])}, by depth {' '.join(map(percent, test['accuracy']))}")
    took = record["training"]
    steps = (
        f"{took['steps']} steps took {took['step_seconds']:.0f} s, {took['step_cpu_seconds']:.0f} s of the processor"
    )
    print_line(f"{run.name}: {record['seconds'] / 60:.1f} minutes; {steps}")


if __name__ == "__main__":
    run_command(main)
