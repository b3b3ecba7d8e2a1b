"""Tokenization off the event loop: threads, to which concurrent requests are handed over together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from queue import Empty, PriorityQueue
from typing import Any, TypeVar

from elbert.errors import ElbertError, InputError
from elbert.inference import Document
from elbert.serving.errors import NotReady, Overloaded, TokenizerFailure, TooLong
from elbert.serving.runtime import Runtime
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokens import Direction, Text, check_text, count_characters

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # after which a client may try again, where no thread could be started
CHARACTER_SECONDS = 1e-6  # that a character takes, about
SHARED_CHARACTERS = 4096  # a request with more is handed over alone, so that short requests do not wait for it

TokenResults = list[Tokens | ElbertError]
DocumentResults = list[Document | ElbertError]


@dataclass(eq=False)
class Job:
    """One request's texts, the call that tokenizes them, and the future that its task awaits."""

    texts: Sequence[object]
    run: Callable[[Sequence[object]], list[Any]]
    future: asyncio.Future[list[Any]]


class TokenizerPool:
    """Threads that tokenize, for one event loop.

    Handing work to a thread costs more than tokenizing a short text, so the requests that arrive in one iteration of
    the event loop share one hand-over. A short request does not wait for long ones that came a moment before: threads
    take hand-overs in the order of their arrival plus the time that they need.
    """

    def __init__(self, tokeniser: Tokeniser, workers: int, runtime: Runtime | None = None) -> None:
        self._tokeniser = tokeniser
        self._threads = (Runtime() if runtime is None else runtime).create_executor(workers, "elbert-tokenize")
        self._batch: list[Job] = []  # requests of this iteration of the event loop
        # Hand-overs that no thread has begun: (order, number, jobs). Each has at least one call of _run_next to come.
        self._waiting: PriorityQueue[tuple[float, int, list[Job]]] = PriorityQueue()
        self._numbers = count()
        self._is_closed = self._has_thread = False

    async def tokenize(
        self, texts: Sequence[object], *, truncate: bool, direction: Direction | None, max_tokens: int | None = None
    ) -> TokenResults:
        """The tokens or the error of each text.

        Raises:
            TokenizerFailure: the tokenizer failed on the request.
            NotReady: the pool was closed before it began with the request.
            Overloaded: the system starts no thread for it.
        """
        call = partial(tokenize_texts, self._tokeniser, truncate=truncate, direction=direction, max_tokens=max_tokens)
        return await self._run_in_thread(texts, call)

    async def build_documents(
        self, texts: Sequence[object], build: Callable[[Sequence[Text]], DocumentResults]
    ) -> DocumentResults:
        """The document or the error of each text; ``build`` makes those of valid texts.

        Raises:
            TokenizerFailure, NotReady, Overloaded: as for :meth:`tokenize`.
        """
        return await self._run_in_thread(texts, partial(convert_texts, build))

    async def _run_in_thread(self, texts: Sequence[object], call: Callable[[Sequence[object]], list[Any]]) -> list[Any]:
        loop = asyncio.get_running_loop()
        job = Job(texts, call, loop.create_future())
        if sum(map(count_characters, texts)) > SHARED_CHARACTERS:
            self._submit([job])
        else:
            if not self._batch:
                loop.call_soon(self._submit, self._batch)
            self._batch.append(job)
        return await job.future

    def close(self) -> None:
        """Accept no more requests; those whose tokenization has not begun get an error."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._reject_waiting()

    def _submit(self, jobs: list[Job]) -> None:
        if jobs is self._batch:
            self._batch = []
        loop = jobs[0].future.get_loop()
        characters = sum(count_characters(text) for job in jobs for text in job.texts)
        self._waiting.put((loop.time() + CHARACTER_SECONDS * characters, next(self._numbers), jobs))
        try:
            self._threads.submit(self._run_next)
        except (RuntimeError, MemoryError) as error:
            if self._is_closed:
                self._reject_waiting()
            elif not self._has_thread or isinstance(error, MemoryError):
                message = "the system starts no thread for the tokenizer"
                _resolve(jobs, [Overloaded(message, RETRY_SECONDS) for _ in jobs])
            # Otherwise only another thread could not be started: the call is queued, and one that runs takes it.

    def _reject_waiting(self) -> None:
        """Reject what no thread has begun: the pool was closed."""
        while (jobs := self._take_waiting()) is not None:
            _post(jobs, [NotReady("the server is stopping") for _ in jobs])

    def _take_waiting(self) -> list[Job] | None:
        try:
            return self._waiting.get_nowait()[2]
        except Empty:
            return None

    def _run_next(self) -> None:
        """Tokenize the next hand-over; there may be none, where the call of one that was rejected comes after all."""
        self._has_thread = True
        if (jobs := self._take_waiting()) is not None:
            _post(jobs, self._run_all(jobs))

    def _run_all(self, jobs: list[Job]) -> list[list[Any] | BaseException]:
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> list[Any] | BaseException:
        if job.future.done():  # its client disconnected
            return []
        try:
            return job.run(job.texts)
        except BaseException as error:  # only this request fails; the others of the batch continue
            return error


def _post(jobs: list[Job], results: Sequence[list[Any] | BaseException]) -> None:
    """Pass the results to the event loop."""
    loop = jobs[0].future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_resolve, jobs, results)


def _resolve(jobs: list[Job], results: Sequence[list[Any] | BaseException]) -> None:
    """Pass the results to the waiting tasks. An error is no cancellation: these tasks have clients that wait."""
    for job, result in zip(jobs, results, strict=True):
        if job.future.done():  # its client disconnected
            continue
        if isinstance(result, BaseException):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)


def tokenize_texts(
    tokeniser: Tokeniser,
    texts: Sequence[object],
    *,
    truncate: bool,
    direction: Direction | None,
    max_tokens: int | None = None,
) -> TokenResults:
    """The tokens or the error of each text or pair; ``direction`` is the end at which a long text is truncated,
    or None for the folder's.

    ``max_tokens`` truncates to fewer tokens than the model reads.

    Raises:
        TokenizerFailure: the tokenizer failed as a whole.
    """
    return [
        TooLong(
            f"text {number} has more than {tokeniser.max_length} tokens, the most that the model reads; "
            "shorten it, or allow truncation"
        )
        if isinstance(tokens, Tokens) and tokens.truncated and not truncate
        else tokens
        for number, tokens in enumerate(
            convert_texts(lambda valid: tokeniser.encode_each(valid, direction, max_tokens), texts)
        )
    ]


Converted = TypeVar("Converted")


def convert_texts(
    convert: Callable[[Sequence[Text]], list[Converted | ElbertError]], texts: Sequence[object]
) -> list[Converted | ElbertError]:
    """What ``convert`` makes of each text or pair, or the error of a text.

    Raises:
        TokenizerFailure: the tokenizer failed as a whole.
    """
    checked = _check_texts(texts)
    converted = iter(_convert(convert, [text for text in checked if not isinstance(text, ElbertError)]))
    results = list[Converted | ElbertError]()
    for number, text in enumerate(checked):
        if isinstance(text, ElbertError):
            results.append(text)
            continue
        result = next(converted)
        if isinstance(result, ElbertError):
            log.error("text %d of a request: %s", number, result)
            result = TokenizerFailure(f"text {number}: {result}")
        results.append(result)
    return results


def _check_texts(texts: Sequence[object]) -> list[Text | ElbertError]:
    results = list[Text | ElbertError]()
    for number, text in enumerate(texts):
        try:
            results.append(check_text(text, number))
        except InputError as error:
            results.append(error)
    return results


def _convert(
    convert: Callable[[Sequence[Text]], list[Converted | ElbertError]], texts: list[Text]
) -> list[Converted | ElbertError]:
    try:
        return convert(texts)
    except (ElbertError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers is written in Rust, and its panics are no subclass of Exception
        log.error("the tokenizer failed on a request", exc_info=error)
        raise TokenizerFailure(f"the tokenizer failed on these texts ({type(error).__name__})") from error
