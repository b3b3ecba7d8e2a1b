"""The engine: rows at different depths share every layer call, and places that rows leave are filled at once."""

from __future__ import annotations

from elbert.engine.engine import Engine
from elbert.engine.offline import Ahead, InOrder, Source, Whole, drive
from elbert.engine.queues import Arrival, Queue, Sweep, Urgency
from elbert.engine.requests import Call, Failure, Left, NoNumber, Request
from elbert.engine.scheduler import Capacity, Scheduler

__all__ = [
    "Ahead",
    "Arrival",
    "Call",
    "Capacity",
    "Engine",
    "Failure",
    "InOrder",
    "Left",
    "NoNumber",
    "Queue",
    "Request",
    "Scheduler",
    "Source",
    "Sweep",
    "Urgency",
    "Whole",
    "drive",
]
