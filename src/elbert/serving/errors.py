"""What a server can answer instead of a prediction::

ElbertError
├── InputError
│   ├── TooLong            a text that does not fit, where it may not be cut
│   └── TokeniserFailure   the tokenizer failed on the texts
├── Overloaded         too much is under way; ``retry_after`` says when there may be room
├── NotReady           the server is starting, restarting or stopping
└── BackendFailure     the model failed on this text
"""

from __future__ import annotations

import logging

from elbert.engine import NoNumber
from elbert.errors import ElbertError, InputError

log = logging.getLogger(__name__)


class TooLong(InputError):
    """A text has more tokens than the model can read, and the caller does not want it cut."""


class TokeniserFailure(InputError):
    """The tokenizer failed on texts that look like texts."""


class Overloaded(ElbertError):
    """The request was refused at once, because too much is under way; ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(f"{message}; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class NotReady(ElbertError):
    """The server takes no requests now: it starts, restarts or stops."""


class BackendFailure(ElbertError):
    """The model failed on this text, or the engine failed with this text in it."""


def told(error: Exception) -> ElbertError:
    """An error as a stranger may hear it: ours as they are, others, whose words may tell of our insides, in the log."""
    if isinstance(error, NoNumber):
        return BackendFailure(str(error))
    if isinstance(error, ElbertError):
        return error
    log.error("the model failed on a text", exc_info=error)
    return BackendFailure(f"the model failed on this text ({type(error).__name__}); the server's log says more")
