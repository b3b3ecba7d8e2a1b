"""Tokenization off the event loop: threads, to which concurrent requests are handed over together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from queue import PriorityQueue

from elbert.errors import ElbertError, InputError
from elbert.serving.errors import NotReady, TokenizerFailure, TooLong
from elbert.serving.runtime import Runtime
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokens import Direction, Text, check_text, count_characters

log = logging.getLogger(__name__)

CHARACTER_SECONDS = 1e-6  # that a character takes, about
SHARED_CHARACTERS = 4096  # a request with more is handed over alone, so that short requests do not wait for it

TokenResults = list[Tokens | ElbertError]


@dataclass(eq=False)
class Job:
    """One request's texts, and the future that its task awaits."""

    texts: Sequence[object]
    truncate: bool
    direction: Direction | None
    max_tokens: int | None
    future: asyncio.Future[TokenResults]


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
        # Hand-overs that no thread has begun, as many as there are calls of _run_next to come: (order, number, jobs).
        self._waiting: PriorityQueue[tuple[float, int, list[Job]]] = PriorityQueue()
        self._numbers = count()

    async def tokenize(
        self, texts: Sequence[object], *, truncate: bool, direction: Direction | None, max_tokens: int | None = None
    ) -> TokenResults:
        """The tokens or the error of each text.

        Raises:
            TokenizerFailure: the tokenizer failed on the request.
            NotReady: the pool was closed before it began with the request.
        """
        loop = asyncio.get_running_loop()
        job = Job(texts, truncate, direction, max_tokens, loop.create_future())
        if sum(map(count_characters, texts)) > SHARED_CHARACTERS:
            self._submit([job])
        else:
            if not self._batch:
                loop.call_soon(self._submit, self._batch)
            self._batch.append(job)
        return await job.future

    def close(self) -> None:
        """Accept no more requests; those whose tokenization has not begun get an error."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, jobs: list[Job]) -> None:
        if jobs is self._batch:
            self._batch = []
        loop = jobs[0].future.get_loop()

        def on_done(future: Future[tuple[list[Job], list[TokenResults | BaseException]]]) -> None:
            done, results = (self._take_waiting(), None) if future.cancelled() else future.result()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, done, results)

        characters = sum(count_characters(text) for job in jobs for text in job.texts)
        self._waiting.put((loop.time() + CHARACTER_SECONDS * characters, next(self._numbers), jobs))
        try:
            self._threads.submit(self._run_next).add_done_callback(on_done)
        except RuntimeError:  # the pool was closed meanwhile
            _resolve(self._take_waiting(), None)

    def _take_waiting(self) -> list[Job]:
        return self._waiting.get_nowait()[2]

    def _run_next(self) -> tuple[list[Job], list[TokenResults | BaseException]]:
        jobs = self._take_waiting()
        return jobs, self._run_all(jobs)

    def _run_all(self, jobs: list[Job]) -> list[TokenResults | BaseException]:
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> TokenResults | BaseException:
        if job.future.done():  # its client disconnected
            return []
        try:
            return tokenize_texts(
                self._tokeniser,
                job.texts,
                truncate=job.truncate,
                direction=job.direction,
                max_tokens=job.max_tokens,
            )
        except BaseException as error:  # only this request fails; the others of the batch continue
            return error


def _resolve(jobs: list[Job], results: list[TokenResults | BaseException] | None) -> None:
    """Pass the results to the waiting tasks; None is an error for each: the pool was closed."""
    for number, job in enumerate(jobs):
        if job.future.done():  # its client disconnected
            continue
        result = None if results is None else results[number]
        if result is None:
            # Not a cancellation: these tasks have clients that wait for an answer.
            job.future.set_exception(NotReady("the server is stopping"))
        elif isinstance(result, BaseException):
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
    results = _check_texts(texts)
    valid = [text for text in results if not isinstance(text, ElbertError)]
    tokens = iter(_encode(tokeniser, valid, direction, max_tokens))
    return [
        text if isinstance(text, ElbertError) else _check_tokens(next(tokens), tokeniser, number, truncate)
        for number, text in enumerate(results)
    ]


def _check_texts(texts: Sequence[object]) -> list[Text | ElbertError]:
    results = list[Text | ElbertError]()
    for number, text in enumerate(texts):
        try:
            results.append(check_text(text, number))
        except InputError as error:
            results.append(error)
    return results


def _encode(
    tokeniser: Tokeniser, texts: list[Text], direction: Direction | None, max_tokens: int | None
) -> TokenResults:
    try:
        return tokeniser.encode_each(texts, direction, max_tokens)
    except (ElbertError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers is written in Rust, and its panics are no subclass of Exception
        log.error("the tokenizer failed on a request", exc_info=error)
        raise TokenizerFailure(f"the tokenizer failed on these texts ({type(error).__name__})") from error


def _check_tokens(
    tokens: Tokens | ElbertError, tokeniser: Tokeniser, number: int, truncate: bool
) -> Tokens | ElbertError:
    if isinstance(tokens, ElbertError):
        log.error("text %d of a request: %s", number, tokens)
        return TokenizerFailure(f"text {number}: {tokens}")
    if tokens.truncated and not truncate:
        return TooLong(
            f"text {number} has more than {tokeniser.max_length} tokens, the most that the model reads; "
            "shorten it, or allow truncation"
        )
    return tokens
