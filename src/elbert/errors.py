"""The errors that elbert raises::

    ElbertError
    ├── PolicyError        a policy spec cannot be parsed, a dial is out of range, or a policy name is unknown
    ├── BundleError        a folder has no supported classifier, or its files contradict each other
    ├── DataError          a data file cannot be used at all
    │   └── BadRow         one row of a data file cannot be used; the message names the file and the line
    ├── InputError         an argument or a call is not valid
    └── MissingExtra       an optional package is not installed; shows the command that installs it

Every message states what was expected, what was received, and the remedy.
"""

from __future__ import annotations


class ElbertError(Exception):
    """Base class of the errors that this package raises; any other exception is a bug or comes from a dependency."""


class PolicyError(ElbertError, ValueError):
    """A policy spec or dial is not valid; the message shows the accepted form."""


class BundleError(ElbertError):
    """A model folder cannot be used; the message names the file and the remedy."""


class DataError(ElbertError):
    """A data file cannot be used; the message names the file and the expected content."""


class BadRow(DataError):
    """One row cannot be used: line ``line`` (from 1) of file ``source``, for the reason ``why``.

    ``conflicts``: it contradicts other rows, which may be the wrong ones, so it cannot be left out alone.
    """

    conflicts = False

    def __init__(self, source: str, line: int, why: str) -> None:
        super().__init__(f"{source}:{line}: {why}")
        self.source = source
        self.line = line
        self.why = why

    def __reduce__(self) -> tuple[type[BadRow], tuple[str, int, str]]:
        """Pickle the three arguments: worker processes send this error, and the default passes only the message."""
        return type(self), (self.source, self.line, self.why)


class InputError(ElbertError, ValueError):
    """An argument or a call is not valid; the message shows what is accepted.

    ``text`` is the position of the text that cannot be used (from 0), where it is one text of a call.
    """

    text: int | None = None


class MissingExtra(ElbertError, ImportError):
    """An optional package is not installed; the message has the command that installs it."""
