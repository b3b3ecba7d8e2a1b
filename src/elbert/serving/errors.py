"""Errors of a server: what a request or a text gets instead of a prediction::

ElbertError
├── InputError
│   ├── TooLong            a text does not fit, and truncation is off
│   └── TokenizerFailure   the tokenizer failed on the texts
├── Overloaded         too much is in progress; ``retry_after`` estimates when there is capacity
├── NotReady           the server is starting, restarting or stopping
└── BackendFailure     the model failed on this text
"""

from __future__ import annotations

import logging

from elbert.engine import NonFiniteOutput
from elbert.errors import ElbertError, InputError

log = logging.getLogger(__name__)


class TooLong(InputError):
    """A text has more tokens than the model can read, and the client does not allow truncation."""


class TokenizerFailure(InputError):
    """The tokenizer failed on texts that passed every check."""


class Overloaded(ElbertError):
    """The request was rejected because too much is in progress; ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(f"{message}; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class NotReady(ElbertError):
    """The server accepts no requests now: it is starting, restarting or stopping."""


class BackendFailure(ElbertError):
    """The model failed on this text, or the engine failed while this text was in it."""


def to_client_error(error: Exception) -> ElbertError:
    """Convert to an error that is safe to send to a client.

    Errors of this package pass unchanged. The message of any other error can contain internal details: it goes to the
    log, and the client gets its type only.
    """
    if isinstance(error, NonFiniteOutput):
        return BackendFailure(str(error))
    if isinstance(error, ElbertError):
        return error
    log.error("the model failed on a text", exc_info=error)
    return BackendFailure(f"the model failed on this text ({type(error).__name__}); see the server's log")
