"""One engine for all blocks that an actor holds: rows of the next block fill the places that rows of this one leave."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from queue import Queue
from threading import Thread

from elbert.classifier import Classifier
from elbert.depth import predictions
from elbert.engine import Left
from elbert.exits import Policy
from elbert.prediction import Prediction
from elbert.text import Text, Tokens

Answer = Prediction | Exception


@dataclass
class Block:
    """Texts that came together, and leave together when the last of them is answered."""

    tokens: Sequence[Tokens]
    done: Future[list[Answer]] = field(default_factory=Future)
    answers: dict[int, Answer] = field(default_factory=dict)

    def answer(self, index: int, answer: Answer) -> None:
        """A text is answered."""
        self.answers[index] = answer
        if len(self.answers) == len(self.tokens):
            self.done.set_result([self.answers[i] for i in range(len(self.tokens))])


class Inbox:
    """Where an engine finds blocks, one after another, for as long as the process lives."""

    ended = False

    def __init__(self) -> None:
        self._blocks: Queue[Block] = Queue()
        self._numbers = count()
        self.owners: dict[int, tuple[Block, int]] = {}  # by the number of the text, as the engine counts them

    def put(self, block: Block) -> None:
        """Hand a block in."""
        self._blocks.put(block)

    @property
    def slow(self) -> bool:
        """Whether the next block would have to be waited for: then rows that are here go on without it."""
        return self._blocks.empty()

    def block(self) -> Sequence[Tokens]:
        """The next block's texts."""
        block = self._blocks.get()
        self.owners.update((next(self._numbers), (block, index)) for index in range(len(block.tokens)))
        return block.tokens


class Shared:
    """Answers blocks from several threads with one engine, in a thread of its own."""

    def __init__(self, classifier: Classifier, policy: Policy, *, remember: bool = False) -> None:
        self._classifier = classifier
        self._policy = policy
        self._remember = remember
        self._inbox = Inbox()
        self._broken: BaseException | None = None
        Thread(target=self._run, name="elbert-engine", daemon=True).start()

    def answers(self, texts: Sequence[Text]) -> list[Answer]:
        """What comes of each text, in order: a prediction, or why there is none. Waits for the last of them.

        Raises:
            Exception: what broke the engine.
        """
        if not texts:
            return []
        block = Block(self._classifier.tokeniser.encode(texts))
        self._inbox.put(block)
        if self._broken is not None:
            raise self._broken
        return block.done.result()

    def _run(self) -> None:
        try:
            for left in self._classifier.leaving(self._inbox, self._policy, remember=self._remember):
                self._hand_out(left)
        except BaseException as error:  # callers wait for this thread, whatever ends it
            self._broken = error
            self._fail(error)

    def _hand_out(self, left: Left) -> None:
        for failure in left.failures:
            self._answer(failure.identity, failure.error)
        for exits in left.exits:
            for number, prediction in predictions(exits, self._classifier.bundle.config):
                self._answer(number, prediction)

    def _answer(self, number: int, answer: Answer) -> None:
        block, index = self._inbox.owners.pop(number)
        block.answer(index, answer)

    def _fail(self, error: BaseException) -> None:
        while not self._inbox.slow:
            self._inbox.block()
        for block, _ in self._inbox.owners.values():
            if not block.done.done():
                block.done.set_exception(error)
