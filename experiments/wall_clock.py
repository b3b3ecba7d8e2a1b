"""The chosen operating points on the clock: the engine at full depth and early, in turn, batches and single texts.

    python experiments/wall_clock.py [--sets trec6 …] [--dtype auto] [--threads N] [--rounds 5]

Takes the policies of the exit study's first seed, whose model the exit study kept, and test texts; tokenising is
included on both sides. Every ratio is of one round, and the median of the rounds counts. Keeps a set at a time in
the record wall_clock/BASE/SET; what is there already for these policies is not measured again.
"""

from __future__ import annotations

from lab import clock, command
from lab.command import build_parser, build_places, print_line, run_command
from lab.sets import SETS
from lab.tables import table


def main(argv: list[str] | None) -> None:
    """Measure every set whose model is here."""
    reader = build_parser(__doc__)
    reader.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    reader.add_argument("--variant", default="equal", metavar="WAY")
    reader.add_argument("--seed", type=int, default=0, metavar="N")
    reader.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "int8"))
    reader.add_argument("--texts", type=int, default=1000, metavar="N", help="a batch round; singles take a tenth")
    reader.add_argument("--rounds", type=int, default=5, metavar="N")
    reader.add_argument("--again", action="store_true", help="measure again what is there")
    command.add_base(reader)
    command.add_machine(reader)
    arguments = reader.parse_args(argv)
    here, start = build_places(arguments), command.open_base(arguments)
    data = command.select_sets(arguments, arguments.sets)
    options = clock.ClockOptions(
        arguments.dtype, arguments.texts, arguments.rounds, arguments.device, arguments.threads
    )
    for run in command.build_runs(data, [arguments.variant], [arguments.seed], start, here):
        found = clock.time_set(run, options, again=arguments.again)
        if isinstance(found, str):
            print_line(f"{run.name}: {found}")
            continue
        print_line(f"\n{run.name}, {options.dtype}\n\n" + table(clock.HEADER, clock.table_rows(found)))


if __name__ == "__main__":
    run_command(main)
