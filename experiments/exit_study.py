"""The exit study: every family of policies at 1.5x to 10x, certified points, oracles, and classifiers trained alone.

    python experiments/exit_study.py --plan            # which runs are missing, and how long they take
    python experiments/exit_study.py --minutes 30      # goes on with them, then studies what is there
    python experiments/exit_study.py --tables          # only studies what is there

Dials are chosen on the calibration parts (lab/selection.py, which sees no test text) and reported on the test parts.
Keeps the records exits/BASE/SET/WAY-SEED by seed, and exit_study (also results/exit_study.csv) over seeds.
"""

from __future__ import annotations

from functools import partial

from elbert.evaluation.sweep import SLACK, SPEEDUPS
from lab import command, exit_tables, plan
from lab.command import build_parser, build_places, print_line, run_command
from lab.exit_study import linear_cell, needs_run, run_study, save_study
from lab.linear import measure_baselines
from lab.runs import Run
from lab.sets import SETS
from lab.variants import shallower


def main(argv: list[str] | None) -> None:
    """Plan, or make the missing runs; then study the finished ones."""
    reader = build_parser(__doc__)
    reader.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    reader.add_argument("--variant", default="equal", metavar="WAY", help="the way to train whose exits are studied")
    reader.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    reader.add_argument("--alone-seeds", nargs="*", type=int, metavar="N", help="of classifiers trained alone")
    reader.add_argument("--families", nargs="+", metavar="FAMILY", help="default: all")
    reader.add_argument("--plan", action="store_true", help="only list what is missing")
    reader.add_argument("--tables", action="store_true", help="only study what is there")
    reader.add_argument("--minutes", type=float, metavar="M", help="begin no run that would end later")
    command.add_base(reader)
    command.add_machine(reader)
    arguments = reader.parse_args(argv)
    here, start = build_places(arguments), command.open_base(arguments)
    data = command.select_sets(arguments, arguments.sets)
    ks = shallower(start.depths, SPEEDUPS, SLACK)
    ours = command.build_runs(data, [arguments.variant], arguments.seeds, start, here)
    seeds = arguments.seeds if arguments.alone_seeds is None else arguments.alone_seeds
    alone = command.build_runs(data, [f"plain-{k}" for k in ks], seeds, start, here)
    runs = sorted([*ours, *alone], key=lambda run: (run.seed, run.variant.plain))
    studied = {(run.prepared.data.name, run.seed): run for run in ours}
    machine = command.build_machine(arguments)

    def is_missing(run: Run) -> bool:
        return needs_run(run, studied.get((run.prepared.data.name, run.seed), run))

    if arguments.plan:
        plan.print_plan(runs, list(filter(is_missing, runs)), machine)
        return
    if not arguments.tables:
        one = partial(command.make_one, arguments=arguments)
        missing = plan.make_missing(runs, is_missing, arguments.minutes, machine, one)
        print_line(f"{len(runs) - missing} of {len(runs)} runs are there")
    linear = measure_baselines(here, [command.prepare_once(each, here) for each in data])
    found = run_study(ours, alone, arguments.families, arguments.variant, start, print_line)
    save_study(here, found)
    for name, pooled in found["sets"].items():
        print_line(f"\n{name}, test, {pooled['n']:,} texts, seeds {pooled['seeds']}\n")
        print_line(exit_tables.families_table(pooled, linear_cell(name, linear)))
        print_line("\n" + exit_tables.depths_table(pooled))
    if found["sets"]:
        print_line("\n" + exit_tables.oracle_table(found["sets"]) + "\n\n" + exit_tables.promises_table(found["sets"]))


if __name__ == "__main__":
    run_command(main)
