"""Consistency: how often the early answer is that of full depth, over the latest texts, with exact bounds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import ModuleType

from elbert._extras import require
from elbert.bundle import Certificate

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
