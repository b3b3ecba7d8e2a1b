"""The comparison of a run with the conditions of the operating points that it uses: it warns once, or refuses."""

from __future__ import annotations

import warnings

from elbert.bundle.certificate import ConditionsWarning
from elbert.bundle.folder import Bundle
from elbert.errors import BundleError
from elbert.exits import Policy


class ConditionsCheck:
    """Compares the precision, the text length and the way to read long texts of one classifier with its points'."""

    def __init__(self, bundle: Bundle, dtype: str, max_length: int) -> None:
        self._bundle = bundle
        self._use = dtype, max_length
        self._checked: set[str] = set()  # operating points whose conditions have been compared
        self._noted: set[str] = set()  # those that were used with another ``long``

    def check_point(self, name: str, *, strict: bool) -> None:
        """Compare all but the way to read long texts; a name that is no operating point has no conditions.

        Raises:
            BundleError: with ``strict``, the conditions do not hold.
        """
        if name in self._checked or name not in self._bundle.points:
            return
        if found := self._bundle.describe_mismatch(name, *self._use):
            refuse_or_warn(found, strict, 5)
        self._checked.add(name)

    def check_long(self, policy: Policy, long: object, *, strict: bool) -> None:
        """Compare how long texts are read with the conditions of the point that a policy comes from.

        ``long`` is written as the spec: it is converted to text only where there is something to compare.

        Raises:
            BundleError: with ``strict``, they do not hold.
        """
        for name, point in self._bundle.points.items():
            if point.policy is policy:
                self._compare_long(name, str(long), strict)

    def _compare_long(self, name: str, long: str, strict: bool) -> None:
        if name in self._noted:
            return
        found = self._bundle.describe_mismatch(name, *self._use, long)
        if found and found != self._bundle.describe_mismatch(name, *self._use):  # the rest has been named
            refuse_or_warn(found, strict, 8)
            self._noted.add(name)  # once: clients of a server name any ``long``


def refuse_or_warn(mismatch: str, strict: bool, stacklevel: int) -> None:
    """Warn where the user's code calls; ``stacklevel`` counts the calls between, this one included.

    Raises:
        BundleError: with ``strict``.
    """
    if strict:
        raise BundleError(mismatch)
    warnings.warn(mismatch, ConditionsWarning, stacklevel=stacklevel)
