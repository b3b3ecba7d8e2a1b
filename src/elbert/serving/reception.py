"""The reception: takes a request in, or says at once why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, isfinite

from elbert.classifier import Classifier
from elbert.errors import ElbertError, InputError
from elbert.serving.admission import Admission
from elbert.serving.answers import Answers
from elbert.serving.desk import Desk, Row
from elbert.serving.errors import Overloaded
from elbert.serving.items import Item, Timings
from elbert.serving.observer import Observer, observed
from elbert.serving.points import Chosen, Points
from elbert.serving.settings import Settings
from elbert.serving.tokenising import Tokenising
from elbert.text import Text, Tokens
from elbert.text.truncate import Direction


@dataclass(frozen=True)
class Asked:
    """What a caller wants of each text; see :meth:`Service.classify`."""

    policy: str | None = None
    deadline_ms: float | None = None
    trace: bool = False
    truncate: bool = True
    direction: Direction = "right"
    raw: bool = False


class Reception:
    """From texts to rows at the desk. For one thread, the event loop's; tokenising has threads of its own."""

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings,
        points: Points,
        desk: Desk,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        self.admission = Admission(
            settings.max_concurrent_requests, settings.max_batch_tokens * classifier.depths, clock
        )
        self.arriving = 0  # requests that are being tokenised
        self._tokenising = Tokenising(classifier.tokeniser, settings.tokenization_workers)
        self._settings = settings
        self._points = points
        self._desk = desk
        self._observer = observer
        self._clock = clock

    async def take(self, texts: Sequence[Text], asked: Asked) -> Answers:
        """A request; its items will be delivered to what is returned.

        Raises:
            NotReady, Overloaded: it is not taken now.
            PolicyError, InputError: it cannot be taken.
        """
        arrived = self._clock()
        chosen = self._chosen(texts, asked)
        deadline = None if asked.deadline_ms is None else arrived + asked.deadline_ms / 1000
        self._desk.check(deadline)  # and again when it has been tokenised; most refusals should not wait for that
        ticket = self.admission.enter(len(texts))
        self.arriving += 1
        try:
            tokens = await self._tokenising.tokens(texts, truncate=asked.truncate, direction=asked.direction)
            costs = [0 if isinstance(t, ElbertError) else self._cost(t, chosen) for t in tokens]
            ticket.charge(costs)
            rows = list[Row]()
            answers = Answers(len(texts), lambda: self._desk.cancel(rows))
            now = self._clock()
            rows += [
                Row(i, t, chosen, ticket, answers.deliver, now - arrived, now, deadline, asked.trace, asked.raw)
                for i, t in enumerate(tokens)
                if not isinstance(t, ElbertError)
            ]
            self._desk.hand_in(rows)
        except BaseException:
            ticket.close()
            raise
        finally:
            self.arriving -= 1
        for row in rows:
            observed(self._observer.admitted, len(row.tokens.ids), characters(texts[row.index]))
        for index, wrong in enumerate(tokens):
            if isinstance(wrong, ElbertError):
                ticket.leave(index)
                answers.deliver(Item(index, None, wrong, chosen.name, timings=Timings(now - arrived)))
        return answers

    def close(self) -> None:
        """No more requests come."""
        self._tokenising.close()

    def _chosen(self, texts: Sequence[Text], asked: Asked) -> Chosen:
        most, deadline = self._settings.max_client_batch_size, asked.deadline_ms
        if not 1 <= len(texts) <= most:
            raise InputError(f"{len(texts)} texts in a request, expected 1 to {most}; send the others in another")
        if deadline is not None and not (isfinite(deadline) and deadline > 0):
            raise InputError(f"deadline_ms is {deadline}, expected a number of milliseconds above 0")
        chosen = self._points.choose(asked.policy)
        under_way = self._desk.policies
        if chosen.policy not in under_way and len(under_way) >= self._settings.max_policies:
            raise Overloaded(f"{len(under_way)} different policies are under way, the most at once", 1.0)
        return chosen

    def _cost(self, tokens: Tokens, chosen: Chosen) -> int:
        return ceil(len(tokens.ids) * self._points.expected_depth(chosen))


def characters(text: Text) -> int:
    """How many a text or both of a pair have."""
    return len(text) if isinstance(text, str) else sum(map(len, text))
