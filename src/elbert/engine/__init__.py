"""The engine: rows at different depths share every layer call, and places that rows free are filled at once."""

from __future__ import annotations

from elbert.engine.engine import Engine
from elbert.engine.offline import (
    OrderedResults,
    Source,
    TextReader,
    TokenList,
    name_text,
    order_results,
    raise_errors,
    run_engine,
)
from elbert.engine.requests import Failure, LayerCall, NonFiniteOutput, RankedList, Request, StepResult
from elbert.engine.scheduler import ArrivalQueue, Capacity, DeadlineQueue, Queue, Scheduler, SweepQueue
from elbert.engine.window_reader import WindowReader

__all__ = [
    "ArrivalQueue",
    "Capacity",
    "DeadlineQueue",
    "Engine",
    "Failure",
    "LayerCall",
    "NonFiniteOutput",
    "OrderedResults",
    "Queue",
    "RankedList",
    "Request",
    "Scheduler",
    "Source",
    "StepResult",
    "SweepQueue",
    "TextReader",
    "TokenList",
    "WindowReader",
    "name_text",
    "order_results",
    "raise_errors",
    "run_engine",
]
