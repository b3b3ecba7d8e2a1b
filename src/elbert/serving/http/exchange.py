"""An exchange: one request with what came of it, for metrics, logs and headers."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import getrandbits

from elbert.serving.http.presence import Scope
from elbert.serving.http.timing import Durations
from elbert.serving.items import Item

SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)
KEY = "elbert.exchange"


@dataclass
class Exchange:
    """``error`` is the kind of refusal; ``status`` 0 is no answer; ``began`` is on the clock ``time.perf_counter``."""

    request_id: str
    route: str = ""
    method: str = ""
    classifies: bool = False
    batch: bool = False
    texts: int = 0
    characters: int = 0
    items: Sequence[Item] = ()
    durations: Durations = field(default_factory=Durations)
    status: int = 0
    error: str | None = None
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since it came."""
        return time.perf_counter() - self.began

    def answered(self, items: Sequence[Item]) -> None:
        """What came of its texts."""
        self.items = items
        self.durations = Durations.of(items)


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of a request that came through the front."""
    found: Exchange = scope[KEY]
    return found


def request_id(given: str | None) -> str:
    """The caller's, if it is one that logs can bear, or a new one."""
    # An id need not be hard to guess, and the system's randomness costs a wait for the interpreter.
    return given if given and SANE.fullmatch(given) else f"{getrandbits(64):016x}"
