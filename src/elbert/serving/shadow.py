"""Shadow traffic: a random sample of answered texts runs to full depth, to measure how often exits change an answer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter
from random import Random
from typing import Any

from elbert.bundle import Certificate
from elbert.engine import Request
from elbert.errors import InputError
from elbert.exits import FULL
from elbert.prediction import Prediction
from elbert.serving.binomial_bounds import lower_bound, probability_at_least, upper_bound
from elbert.serving.errors import NotReady
from elbert.tasks import Task
from elbert.tokenization import Tokens

log = logging.getLogger(__name__)


class Shadow:
    """Samples a ``share`` of the answered texts and compares each answer with that of full depth.

    ``points`` are the operating points to watch, with their certificates. ``submit`` takes requests that run only
    while no other request is in progress. At most ``max_waiting`` rows wait; texts sampled beyond that count as
    ``dropped``, so a server that is never idle measures its quieter moments, and a document with more windows is never
    measured. A point with a certificate counts only texts that are read as it was certified: cut, or in windows of that
    spec, which then all run to full depth. Values (``tolerance`` is not None) differ
    by more than the tolerance of the point's certificate, or without one by more than ``tolerance``.
    """

    def __init__(
        self,
        share: float,
        points: Mapping[str, Certificate | None],
        submit: Callable[[Sequence[Request]], None],
        task: Task,
        *,
        tolerance: float | None = None,
        window: int = 1000,
        max_waiting: int = 64,
        random: Random | None = None,
    ) -> None:
        if not 0 <= share <= 1:
            raise InputError(f"the share of shadow traffic is {share}, expected a number from 0 to 1, such as 0.01")
        self.points = {name: ChangeWindow(window, certificate) for name, certificate in points.items()}
        self.dropped = 0
        self._share = share
        self.is_active = share > 0
        self._submit = submit
        self._task = task
        self._tolerance = tolerance
        self._max_waiting = max_waiting
        self._random = Random() if random is None else random
        self._identities = count(-1, -1)  # negative: the dispatcher's requests count up from 0
        self._waiting: dict[int, EarlyAnswer] = {}
        self._warned: set[str] = set()

    def __contains__(self, identity: int) -> bool:
        """Whether a request is shadow traffic."""
        return identity in self._waiting

    def sample(
        self,
        point: str,
        rows: Sequence[Tokens],
        prediction: Prediction,
        combine: Callable[[Sequence[Prediction]], Prediction] = itemgetter(0),
        long: str | None = None,
        texts: Sequence[str] = (),
    ) -> None:
        """Perhaps run an answered text to full depth.

        ``rows`` are all its windows, ``combine`` makes one prediction of theirs, and ``long`` is how it is read.
        ``texts`` are those of the rows where their tokens are classified.
        """
        if not self._share or point not in self.points or not self._is_covered(point, len(rows), long):
            return
        if self._random.random() >= self._share:
            return
        if len(self._waiting) + len(rows) > self._max_waiting:
            self.dropped += 1
            return
        depths = prediction.window_depths or (prediction.depth,)
        if len(depths) == len(rows) and min(depths) == prediction.depths:  # its answer is that of full depth
            self._record(point, is_changed=False)
            return
        identities = [next(self._identities) for _ in rows]
        try:
            self._submit([Request(each, row, FULL) for each, row in zip(identities, rows, strict=True)])
        except NotReady:
            self.dropped += 1
            return
        sources = dict(zip(identities, zip(texts, rows, strict=True), strict=True)) if texts else {}
        early = EarlyAnswer(point, prediction, combine, identities, sources)
        self._waiting |= dict.fromkeys(identities, early)

    def compare(self, identity: int, prediction: Prediction | None) -> None:
        """Take the prediction of full depth of a row, or None if it failed; compare once its text has all of them."""
        early = self._waiting.pop(identity)
        early.full[identity] = prediction
        if len(early.full) < len(early.rows):
            return
        parts = [part for row in early.rows if (part := early.full[row]) is not None]
        if len(parts) < len(early.rows):
            self.dropped += 1
        else:
            self._record(early.point, is_changed=self._differs(early, early.combine(parts)))

    def find_source(self, identity: int) -> tuple[str, Tokens] | None:
        """Return the text and the tokens of a row that waits, where its tokens are classified."""
        early = self._waiting.get(identity)
        return None if early is None else early.sources.get(identity)

    @property
    def waiting(self) -> int:
        """The number of texts that wait for a row at full depth."""
        return len({id(early) for early in self._waiting.values()})

    def drop_all(self) -> None:
        """Count the texts that still wait as dropped: the server stops, and nothing compares them."""
        self.dropped += self.waiting
        self._waiting.clear()

    def _is_covered(self, point: str, rows: int, long: str | None) -> bool:
        certificate = self.points[point].certificate
        if certificate is None or certificate.long == long:
            return True
        return certificate.long is None and rows == 1  # a text that fits has the answer of a cut one

    def to_dict(self) -> dict[str, Any]:
        """The counts, and by point the share of changed answers with its bounds, as plain values."""
        points = {
            name: {"texts": len(window.changes), "differing": window.changed}
            | {"lower": window.lower, "upper": window.upper}
            for name, window in self.points.items()
            if window.changes
        }
        return {"share": self._share, "waiting": self.waiting, "dropped": self.dropped, "points": points}

    def _record(self, point: str, *, is_changed: bool) -> None:
        window = self.points[point]
        window.add(is_changed)
        if window.certificate is None or not window.violates_certificate:
            self._warned.discard(point)
        elif point not in self._warned:
            self._warned.add(point)
            log.warning(
                "operating point %r: %d of the latest %d texts have another answer than at full depth, at least "
                "%.2f %% of texts like these; certified is %s: %s. The texts have changed: calibrate again",
                point,
                window.changed,
                len(window.changes),
                100 * window.lower,
                window.certificate,
                "broken" if window.certificate.loss == "inconsistency" else "perhaps broken, labels are needed to see",
            )

    def _differs(self, early: EarlyAnswer, full: Prediction) -> bool:
        if self._tolerance is None:
            return self._task.read_answer(early.prediction) != self._task.read_answer(full)
        certificate = self.points[early.point].certificate
        certified = None if certificate is None else certificate.tolerance
        return abs(full.score - early.prediction.score) > (self._tolerance if certified is None else certified)


@dataclass(frozen=True)
class EarlyAnswer:
    """The prediction of a text that exited early, under an operating point, and those of its rows at full depth so far.

    ``sources`` has the text and the tokens of its rows where tokens are classified.
    """

    point: str
    prediction: Prediction
    combine: Callable[[Sequence[Prediction]], Prediction]
    rows: Sequence[int]
    sources: Mapping[int, tuple[str, Tokens]]
    full: dict[int, Prediction | None] = field(default_factory=dict)


DEFAULT_ERROR = 0.05  # for operating points without a certificate


@dataclass
class ChangeWindow:
    """The latest texts that ran both early and to full depth, and whether the answer changed.

    ``lower`` and ``upper`` bound the share of changed answers, each with probability 1 - error for one look at one
    window (Clopper and Pearson 1934). A server looks again and again, so over time it is wrong more often.
    """

    size: int
    certificate: Certificate | None = None
    changes: deque[bool] = field(default_factory=deque)
    changed: int = 0

    def add(self, is_changed: bool) -> None:
        """Add a text; a full window drops its oldest."""
        self.changes.append(is_changed)
        self.changed += is_changed
        if len(self.changes) > self.size:
            self.changed -= self.changes.popleft()

    @property
    def error(self) -> float:
        """The certificate's error probability, or 0.05."""
        return DEFAULT_ERROR if self.certificate is None else self.certificate.error

    @property
    def lower(self) -> float:
        """The share of changed answers is at least this, with probability 1 - error."""
        return lower_bound(self.changed, len(self.changes), self.error)

    @property
    def upper(self) -> float:
        """The share of changed answers is at most this, with probability 1 - error."""
        return upper_bound(self.changed, len(self.changes), self.error)

    @property
    def violates_certificate(self) -> bool:
        """Whether answers change more often than certified, by more than chance explains: ``lower`` is above the risk.

        A certificate of ``inconsistency`` is then broken. One of ``harmful-flip`` bounds only right answers that are
        lost, which are at most as many, so it may or may not be broken.
        """
        if self.certificate is None:
            return False
        # The same as lower > risk, without the search for the bound: this runs for every shadow text.
        k, n = self.changed, len(self.changes)
        return k > 0 and probability_at_least(k, n, self.certificate.risk) < self.error
