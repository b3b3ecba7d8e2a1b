"""The engine: rows at different depths share every layer call, and places that rows leave are filled at once."""

from elbert.engine.ahead import Ahead
from elbert.engine.drive import Source, Whole, drive
from elbert.engine.engine import Engine
from elbert.engine.order import InOrder
from elbert.engine.queues import Arrival, Queue, Sweep
from elbert.engine.requests import Failure, Left, Request
from elbert.engine.scheduler import Capacity, Scheduler

__all__ = [
    "Ahead",
    "Arrival",
    "Capacity",
    "Engine",
    "Failure",
    "InOrder",
    "Left",
    "Queue",
    "Request",
    "Scheduler",
    "Source",
    "Sweep",
    "Whole",
    "drive",
]
