"""What can go wrong, as one tree::

    ElbertError
    ├── PolicyError        a policy spec that cannot be read, a dial out of range, an unknown name
    ├── BundleError        a folder that is no ALBERT classifier, or whose parts do not fit each other
    ├── DataError          a data file that cannot be used at all
    │   └── BadRow         one row of a data file, named by file and line
    ├── InputError         an argument or a call that cannot be served
    └── MissingExtra       an optional package that is not installed, with the command that installs it

Every message has what was expected, what was received, and the remedy.
"""

from __future__ import annotations


class ElbertError(Exception):
    """Base of every error raised on purpose by this package."""


class PolicyError(ElbertError, ValueError):
    """A policy spec or dial is not acceptable; the message shows the accepted form."""


class BundleError(ElbertError):
    """A model folder cannot be used; the message names the file and the remedy."""


class DataError(ElbertError):
    """A data file cannot be used; the message names the file and what was expected of it."""


class BadRow(DataError):
    """One row cannot be used; ``source`` and ``line`` say which, ``why`` says what is wrong with it."""

    def __init__(self, source: str, line: int, why: str) -> None:
        super().__init__(f"{source}:{line}: {why}")
        self.source = source
        self.line = line
        self.why = why

    def __reduce__(self) -> tuple[type[BadRow], tuple[str, int, str]]:
        """Pickle by its three parts: the error must survive the way back from a worker process."""
        return type(self), (self.source, self.line, self.why)


class InputError(ElbertError, ValueError):
    """A call or an argument cannot be served; the message says what is accepted."""


class MissingExtra(ElbertError, ImportError):
    """An optional package is missing; the message is the command that installs it."""
