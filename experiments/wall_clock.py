"""The chosen operating points on the clock: the engine at full depth and early, in turn, batches and single texts.

    python experiments/wall_clock.py [--sets trec6 …] [--dtype auto] [--threads N] [--rounds 5]

Takes the policies of the exit study's first seed, whose model the exit study kept, and test texts; tokenising is
included on both sides. Every ratio is of one round, and the median of the rounds counts. Keeps a set at a time in
the record wall_clock/BASE/SET; what is there already for these policies is not measured again.
"""

from __future__ import annotations

from lab import choices, clock
from lab.command import parser, places, print_line, run_command
from lab.sets import SETS
from lab.tables import table


def main(argv: list[str] | None) -> None:
    """Measure every set whose model is here."""
    reader = parser(__doc__)
    reader.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    reader.add_argument("--variant", default="equal", metavar="WAY")
    reader.add_argument("--seed", type=int, default=0, metavar="N")
    reader.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "int8"))
    reader.add_argument("--texts", type=int, default=1000, metavar="N", help="a batch round; singles take a tenth")
    reader.add_argument("--rounds", type=int, default=5, metavar="N")
    reader.add_argument("--again", action="store_true", help="measure again what is there")
    choices.add_base(reader)
    choices.add_machine(reader)
    arguments = reader.parse_args(argv)
    here, start = places(arguments), choices.base(arguments)
    data = choices.sets(arguments, arguments.sets)
    wish = clock.Wish(arguments.dtype, arguments.texts, arguments.rounds, arguments.device, arguments.threads)
    for run in choices.runs(data, [arguments.variant], [arguments.seed], start, here):
        found = clock.timed(run, wish, again=arguments.again)
        if isinstance(found, str):
            print_line(f"{run.name}: {found}")
            continue
        print_line(f"\n{run.name}, {wish.dtype}\n\n" + table(clock.HEADER, clock.rows(found)))


if __name__ == "__main__":
    run_command(main)
