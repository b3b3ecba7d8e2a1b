"""Shadow: a random sample of texts runs to full depth after its answer, and the agreement is bounded exactly."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from types import ModuleType
from typing import Any

from elbert._optional import require
from elbert.bundle import Certificate
from elbert.engine import Request
from elbert.errors import InputError
from elbert.exits import Full
from elbert.prediction import Prediction
from elbert.serving.errors import NotReady
from elbert.tokenization import Tokens

ERROR = 0.05  # where no certificate says another


@dataclass
class Consistency:
    """A window of texts that ran early and in full: which of them gave two answers.

    ``lower`` and ``upper`` bound the share of texts whose answers differ, each with probability 1 - error for a window
    looked at once (Clopper and Pearson 1934). Who looks again and again, as a server does, is wrong more often.
    """

    size: int
    certificate: Certificate | None = None
    texts: deque[bool] = field(default_factory=deque)
    differing: int = 0

    def add(self, differs: bool) -> None:
        """One more text; the oldest goes where the window is full."""
        self.texts.append(differs)
        self.differing += differs
        if len(self.texts) > self.size:
            self.differing -= self.texts.popleft()

    @property
    def error(self) -> float:
        """The certificate's, where there is one."""
        return ERROR if self.certificate is None else self.certificate.error

    @property
    def lower(self) -> float:
        """The share of differing answers is at least this, with probability 1 - error."""
        k, n = self.differing, len(self.texts)
        return float(_special().betaincinv(k, n - k + 1, self.error)) if k else 0.0

    @property
    def upper(self) -> float:
        """The share of differing answers is at most this, with probability 1 - error."""
        k, n = self.differing, len(self.texts)
        return float(_special().betaincinv(k + 1, n - k, 1 - self.error)) if k < n else 1.0

    @property
    def left_certificate(self) -> bool:
        """Whether answers differ more often than was certified, and by more than chance explains.

        The promise may be of differing answers (``inconsistency``), which is then broken; or only of right answers
        lost (``harmful-flip``), of which there are no more, so that it may be.
        """
        return self.certificate is not None and self.lower > self.certificate.risk


def _special() -> ModuleType:
    return require("scipy.special", "serve")


log = logging.getLogger(__name__)

FULL = Full()


@dataclass(frozen=True)
class Early:
    """A text that was answered early, under an operating point."""

    point: str
    answer: object


class Shadow:
    """Draws a ``share`` of the answered texts and compares their answers with those of full depth, point by point.

    ``points`` are the operating points to watch, with their certificates. ``submit`` takes a request that can wait
    until nobody else does. At most ``most_waiting`` texts wait; who is drawn beyond that is ``dropped``, and counted.
    So in a server without a pause the sample is of its quieter moments.
    """

    def __init__(
        self,
        share: float,
        points: Mapping[str, Certificate | None],
        submit: Callable[[Request], None],
        *,
        multi_label: bool = False,
        window: int = 1000,
        most_waiting: int = 64,
        random: Random | None = None,
    ) -> None:
        if not 0 <= share <= 1:
            raise InputError(f"the share of shadow traffic is {share}, expected a number from 0 to 1, such as 0.01")
        if share:
            require("scipy.special", "serve")  # now, and not at the first text
        self.points = {name: Consistency(window, certificate) for name, certificate in points.items()}
        self.dropped = 0
        self._share = share
        self._submit = submit
        self._multi_label = multi_label
        self._most_waiting = most_waiting
        self._random = Random() if random is None else random
        self._numbers = count(-1, -1)  # requests count up from 0
        self._waiting: dict[int, Early] = {}
        self._warned: set[str] = set()

    def __contains__(self, identity: int) -> bool:
        """Whether a request is one of ours."""
        return identity in self._waiting

    def answered(self, point: str, tokens: Tokens, prediction: Prediction) -> None:
        """A text was answered under a point; perhaps it is drawn."""
        if not self._share or point not in self.points or self._random.random() >= self._share:
            return
        if len(self._waiting) >= self._most_waiting:
            self.dropped += 1
            return
        if prediction.depth == prediction.depths:  # it went all the way
            self._compared(point, differs=False)
            return
        identity = next(self._numbers)
        try:
            self._submit(Request(identity, tokens, FULL))
        except NotReady:
            self.dropped += 1
            return
        self._waiting[identity] = Early(point, self._decided(prediction))

    def heard(self, identity: int, prediction: Prediction | None) -> None:
        """What full depth says, or None where it failed."""
        early = self._waiting.pop(identity)
        if prediction is None:
            self.dropped += 1
        else:
            self._compared(early.point, differs=self._decided(prediction) != early.answer)

    def told(self) -> dict[str, Any]:
        """What has been seen, as plain values: the share of differing answers by point, with its bounds."""
        seen = {
            name: {"texts": len(c.texts), "differing": c.differing, "lower": c.lower, "upper": c.upper}
            for name, c in self.points.items()
            if c.texts
        }
        return {"share": self._share, "waiting": len(self._waiting), "dropped": self.dropped, "points": seen}

    def _compared(self, point: str, *, differs: bool) -> None:
        seen = self.points[point]
        seen.add(differs)
        if seen.certificate is None or not seen.left_certificate:
            self._warned.discard(point)
        elif point not in self._warned:
            self._warned.add(point)
            log.warning(
                "operating point %r: %d of the latest %d texts have another answer than at full depth, at least "
                "%.2f %% of texts like these; certified is %s: %s. The texts have changed: calibrate again",
                point,
                seen.differing,
                len(seen.texts),
                100 * seen.lower,
                seen.certificate,
                "broken" if seen.certificate.loss == "inconsistency" else "perhaps broken, which labels would tell",
            )

    def _decided(self, prediction: Prediction) -> object:
        if self._multi_label:
            return frozenset(label for label, score in prediction.scores.items() if score > 0.5)
        return prediction.label
