"""Tokenize off the event loop: concurrent requests share one hand-over to a thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from elbert.errors import ElbertError, InputError
from elbert.serving.errors import TokeniserFailure, TooLong
from elbert.texts import Text, checked
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokenizer import Direction

log = logging.getLogger(__name__)


def tokenised(
    tokeniser: Tokeniser, texts: Sequence[object], *, truncate: bool, direction: Direction
) -> list[Tokens | ElbertError]:
    """Tokens, or what is wrong, of each text or pair; ``direction`` is the end that a long text loses."""
    found = _checked(texts)
    tokens = iter(_encoded(tokeniser, [text for text in found if not isinstance(text, ElbertError)]))
    return [
        text if isinstance(text, ElbertError) else _fitted(next(tokens), tokeniser, text, number, truncate, direction)
        for number, text in enumerate(found)
    ]


def _encoded(tokeniser: Tokeniser, texts: list[Text]) -> list[Tokens]:
    try:
        return tokeniser.encode(texts)
    except (ElbertError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers is Rust, and its panics are no Exception
        log.error("a request's texts could not be tokenised", exc_info=error)
        raise TokeniserFailure(f"the texts could not be tokenised ({type(error).__name__})") from error


def _checked(texts: Sequence[object]) -> list[Text | ElbertError]:
    found = list[Text | ElbertError]()
    for number, text in enumerate(texts):
        try:
            found.append(checked(text, number))
        except InputError as error:
            found.append(error)
    return found


def _fitted(
    tokens: Tokens, tokeniser: Tokeniser, text: Text, number: int, truncate: bool, direction: Direction
) -> Tokens | ElbertError:
    if tokens.truncated and not truncate:
        return TooLong(
            f"text {number} has more than {tokeniser.max_length} tokens, the most that the model reads; "
            "shorten it, or let it be truncated"
        )
    return tokeniser.encode([text], direction)[0] if tokens.truncated and direction == "left" else tokens


SHORT = 4096  # characters: a request with more goes alone, so that nobody waits for it

Found = list[Tokens | ElbertError]


@dataclass(eq=False)
class Job:
    """One request's texts, and who waits for their tokens."""

    texts: Sequence[object]
    truncate: bool
    direction: Direction
    waiting: asyncio.Future[Found]


class Tokenising:
    """Threads that tokenise; for one event loop."""

    def __init__(self, tokeniser: Tokeniser, workers: int) -> None:
        self._tokeniser = tokeniser
        self._threads = ThreadPoolExecutor(workers, "elbert-tokenise")
        self._together: list[Job] = []  # those that came in this turn of the event loop

    async def tokens(self, texts: Sequence[object], *, truncate: bool, direction: Direction) -> Found:
        """Tokens, or what is wrong, of each text.

        Raises:
            TokeniserFailure: the tokeniser failed on them.
        """
        loop = asyncio.get_running_loop()
        job = Job(texts, truncate, direction, loop.create_future())
        if _characters(texts) > SHORT:
            self._hand_over([job])
        else:
            if not self._together:
                loop.call_soon(self._hand_over, self._together)
            self._together.append(job)
        return await job.waiting

    def close(self) -> None:
        """No more requests come; who still waits is called off."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _hand_over(self, jobs: list[Job]) -> None:
        if jobs is self._together:
            self._together = []
        loop = jobs[0].waiting.get_loop()

        def done(future: Future[list[Found | BaseException]]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver, jobs, None if future.cancelled() else future.result())

        try:
            self._threads.submit(self._all, jobs).add_done_callback(done)
        except RuntimeError:  # closed meanwhile
            _deliver(jobs, None)

    def _all(self, jobs: list[Job]) -> list[Found | BaseException]:
        return [self._one(job) for job in jobs]

    def _one(self, job: Job) -> Found | BaseException:
        try:
            return tokenised(self._tokeniser, job.texts, truncate=job.truncate, direction=job.direction)
        except BaseException as error:  # it is one request's, and the others go on
            return error


def _characters(texts: Sequence[object]) -> int:
    """How many they have together; what is no text will be refused by the tokeniser, and has none."""
    parts = (part for text in texts for part in (text if isinstance(text, tuple | list) else (text,)))
    return sum(len(part) for part in parts if isinstance(part, str))


def _deliver(jobs: list[Job], found: list[Found | BaseException] | None) -> None:
    for number, job in enumerate(jobs):
        if job.waiting.done():  # its client has gone
            continue
        result = None if found is None else found[number]
        if result is None:
            job.waiting.cancel()
        elif isinstance(result, BaseException):
            job.waiting.set_exception(result)
        else:
            job.waiting.set_result(result)
