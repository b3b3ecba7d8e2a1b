"""The training study: ways to train, on several sets, with several seeds.

    python experiments/training_study.py --plan           # what is missing, and how long it takes
    python experiments/training_study.py --minutes 30     # goes on with it, and stops in time
    python experiments/training_study.py --tables         # only collects and shows what is there

Keeps the record training_study and results/training_study.csv: accuracy of every depth on the test parts, area,
training time against plain ALBERT (the time of steps alone), mean and deviation over seeds, and areas paired by set and
seed.
"""

from __future__ import annotations

from functools import partial

from lab import command, plan, training_results
from lab.command import build_parser, build_places, print_line, run_command

DATA = ("trec6", "cr", "subj", "mr")
WAYS = (
    "plain-L",
    "equal",
    "learned",
    "learned-no-floor",
    "linear",
    "equal+distilled",
    "learned+distilled",
    "equal+mean",
    "last-half",
    "last-half+distilled",
    "last-third",
    "last-third+distilled",
    "alternating",
    "centred",
    "own",
)


def main(argv: list[str] | None) -> None:
    """Plan, or make what is missing; then collect and show."""
    reader = build_parser(__doc__)
    reader.add_argument("--sets", nargs="+", default=DATA, metavar="SET")
    reader.add_argument("--variants", nargs="+", default=WAYS, metavar="WAY")
    reader.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2), metavar="N")
    reader.add_argument("--reference", default="equal", metavar="WAY", help="what areas are compared with")
    reader.add_argument("--plan", action="store_true", help="only list what is missing")
    reader.add_argument("--tables", action="store_true", help="only collect and show")
    reader.add_argument("--minutes", type=float, metavar="M", help="begin no run that would end later")
    command.add_base(reader)
    command.add_machine(reader)
    arguments = reader.parse_args(argv)
    here, start = build_places(arguments), command.open_base(arguments)
    data = command.select_sets(arguments, arguments.sets)
    runs = command.build_runs(data, arguments.variants, arguments.seeds, start, here)
    runs.sort(key=lambda run: run.seed)  # a whole table with one seed is worth more than half a one with three
    machine = command.build_machine(arguments)
    if arguments.plan:
        plan.print_plan(runs, [run for run in runs if run.record() is None], machine)
        return
    if not arguments.tables:
        one = partial(command.make_one, arguments=arguments)
        missing = plan.make_missing(runs, lambda run: run.record() is None, arguments.minutes, machine, one)
        print_line(f"{len(runs) - missing} of {len(runs)} runs are there")
    study = training_results.collect(runs, arguments.reference)
    training_results.save_study(here, study)
    for name, each in study["sets"].items():
        print_line(f"\n{name}, test, {each['n']:,} texts\n")
        print_line(training_results.set_table(each, study["reference"], study["depths"]))
    if study["over_sets"]:
        print_line("\nall sets\n\n" + training_results.over_table(study))
        print_line("\non halves of the calibration parts\n\n" + training_results.choice_table(study))


if __name__ == "__main__":
    run_command(main)
