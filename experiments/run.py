"""One fine-tuning run: a set, a way to train, a seed.

    python experiments/run.py --set trec6 --variant equal --seed 0 [--base DIR] [--threads N]

Ways to train: equal, linear, learned, learned-no-floor, last-half, last-third,
alternating, centred, own, each with +distilled or +mean;
plain-K and plain-L. Outputs of the calibration and test parts go to experiments/work, what was measured to
the record runs/BASE/SET/WAY-SEED. A finished run is skipped; a killed one starts again.
"""

from __future__ import annotations

from lab import command
from lab.command import build_parser, build_places, print_line, run_command
from lab.tables import percent


def main(argv: list[str] | None) -> None:
    """Make the run unless it is there."""
    reader = build_parser(__doc__)
    reader.add_argument("--set", required=True, metavar="SET")
    reader.add_argument("--variant", default="equal", metavar="WAY")
    reader.add_argument("--seed", type=int, default=0)
    reader.add_argument("--keep-model", action="store_true", help="also of seeds other than 0, whose model is kept")
    reader.add_argument("--outputs", action="store_true", help="make it again where its outputs are not here")
    reader.add_argument("--again", action="store_true", help="make it again in any case")
    command.add_base(reader)
    command.add_machine(reader)
    arguments = reader.parse_args(argv)
    here, start = build_places(arguments), command.open_base(arguments)
    (run,) = command.build_runs(
        command.select_sets(arguments, [arguments.set]), [arguments.variant], [arguments.seed], start, here
    )
    record = None if arguments.again else run.record()
    if record is not None and (run.has_outputs or not arguments.outputs):
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
