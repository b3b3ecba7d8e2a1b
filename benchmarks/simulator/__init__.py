"""The engine without a model: its own queues and scheduler on a clock that knows how long every step takes.

    clock = Costs.read(json.loads(path.read_text())["result"]["costs"]["float"])   # measured on one machine
    served = serve([Text(32, 3)] * 1000, [0.0] * 1000, [Replica(Capacity(64, 2048), clock, "a" * 12)])
    served.seconds, served.latency(99)

It is beside the benchmarks and not in elbert: it needs costs that were measured on a machine, and what it answers
are questions of planning; no command that classifies texts uses it.
"""

from simulator.costs import Costs, Curve, Line, Paced, Timed
from simulator.fleet import Served, fewest_of, random_one, serve, turn_by_turn
from simulator.replica import Clock, Replica, Step, Text
from simulator.ways import shrinking, waiting

__all__ = [
    "Clock",
    "Costs",
    "Curve",
    "Line",
    "Paced",
    "Replica",
    "Served",
    "Step",
    "Text",
    "Timed",
    "fewest_of",
    "random_one",
    "serve",
    "shrinking",
    "turn_by_turn",
    "waiting",
]
