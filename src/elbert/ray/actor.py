"""One engine for all blocks that an actor holds: rows of the next block fill the places that rows of this one leave."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

from elbert.classifier import Classifier
from elbert.engine import StepResult
from elbert.errors import BundleError, ElbertError, InputError
from elbert.exits import Policy
from elbert.inference import build_predictions
from elbert.prediction import Prediction
from elbert.ray.columns import columns, names
from elbert.texts import Text, check_text
from elbert.tokenization import Tokens

if TYPE_CHECKING:
    import pyarrow as pa


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


class BlockQueue:
    """Where an engine finds blocks, one after another, for as long as the process lives."""

    has_ended = False

    def __init__(self) -> None:
        self._blocks: Queue[Block] = Queue()
        self._numbers = count()
        self.owners: dict[int, tuple[Block, int]] = {}  # by the number of the text, as the engine counts them

    def put(self, block: Block) -> None:
        """Hand a block in."""
        self._blocks.put(block)

    @property
    def is_live(self) -> bool:
        """Whether the next block would have to be waited for: then rows that are here go on without it."""
        return self._blocks.empty()

    def read_block(self) -> Sequence[Tokens]:
        """The next block's texts."""
        block = self._blocks.get()
        self.owners.update((next(self._numbers), (block, index)) for index in range(len(block.tokens)))
        return block.tokens


class SharedEngine:
    """Answers blocks from several threads with one engine, in a thread of its own."""

    def __init__(self, classifier: Classifier, policy: Policy, *, keep_trace: bool = False) -> None:
        self._classifier = classifier
        self._policy = policy
        self._remember = keep_trace
        self._inbox = BlockQueue()
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
            for left in self._classifier.early_exit_loop(self._inbox, self._policy, keep_trace=self._remember):
                self._hand_out(left)
        except BaseException as error:  # callers wait for this thread, whatever ends it
            self._broken = error
            self._fail(error)

    def _hand_out(self, left: StepResult) -> None:
        for failure in left.failures:
            self._answer(failure.identity, failure.error)
        for exits in left.exits:
            for number, prediction in build_predictions(exits, self._classifier.bundle.config):
                self._answer(number, prediction)

    def _answer(self, number: int, answer: Answer) -> None:
        block, index = self._inbox.owners.pop(number)
        block.answer(index, answer)

    def _fail(self, error: BaseException) -> None:
        while not self._inbox.is_live:
            self._inbox.read_block()
        for block, _ in self._inbox.owners.values():
            if not block.done.done():
                block.done.set_exception(error)


@dataclass(frozen=True)
class Task:
    """What actors do: which model, how it is loaded, which columns they read and write.

    ``weights`` is the hash of the weights that the model must have. ``keep_bad``: a row without an answer says why in
    ``error``, instead of ending it all.
    """

    model: str | None
    policy: str | None
    weights: str
    load: Mapping[str, Any] = field(default_factory=dict)
    text: str = "text"
    text_pair: str = "text_pair"
    prefix: str = ""
    scores: bool = False
    trace: bool = False
    keep_bad: bool = False

    @property
    def names(self) -> list[str]:
        """The columns that are added."""
        known = names(scores=self.scores, trace=self.trace, errors=self.keep_bad)
        return [self.prefix + name for name in known]

    def check(self, present: Sequence[str]) -> None:
        """Refuse columns that do not fit.

        Raises:
            InputError: there are no texts, or a column is in the way.
        """
        if self.text not in present:
            raise InputError(f"no column named {self.text}; columns found: {', '.join(present) or 'none':.300}")
        if taken := [name for name in self.names if name in present]:
            raise InputError(
                f"a column named {taken[0]} is there already; give a prefix for what is added, such as 'predicted_'"
            )


class Actor:
    """One engine; blocks that come side by side, each on a thread of its own, share its layer calls."""

    def __init__(self, task: Task) -> None:
        self.task = task
        # Its share of the machine, which Ray tells in OMP_NUM_THREADS, is for tokenising too.
        os.environ.setdefault("RAYON_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
        self.fault: ElbertError | None = None
        try:
            self.load()
        except ElbertError as error:  # told by the first block: Ray would start an actor that cannot start, and again
            self.fault = BundleError(f"{error} (on {socket.gethostname()})")

    def load(self) -> None:
        """Load the model.

        Raises:
            ElbertError: it cannot be used here, or is another than the one that was asked for.
        """
        from elbert.classifier import Classifier

        self.classifier = Classifier.load(self.task.model, self.task.policy, **self.task.load)
        if self.classifier.bundle.weights_hash != self.task.weights:
            raise BundleError(f"{self.task.model or 'the bundled model'}: other weights than where this was started")

    @cached_property
    def shared(self) -> SharedEngine:
        """The engine, which starts with the first block."""

        return SharedEngine(self.classifier, self.classifier.policy, keep_trace=self.task.trace)

    def __call__(self, block: pa.Table) -> pa.Table:
        """The block, with columns for the answers.

        Raises:
            ElbertError: the model cannot be used, or unless bad rows are kept, a row cannot be answered.
        """
        self.task.check(block.column_names)
        answers = [self.fault] * block.num_rows if self.fault else self.answers(block)
        return self.told(block, answers)

    def answers(self, block: pa.Table) -> Sequence[Answer]:
        """A prediction a row, or why there is none."""
        given = [self.given(*row) for row in zip(*self.texts(block), strict=True)]
        texts = [text for text in given if not isinstance(text, Exception)]
        answered = iter(self.shared.answers(texts))
        return [text if isinstance(text, Exception) else next(answered) for text in given]

    def texts(self, block: pa.Table) -> tuple[list[Any], list[Any]]:
        """First and second texts."""
        task, n = self.task, block.num_rows
        pairs = block[task.text_pair].to_pylist() if task.text_pair in block.column_names else [None] * n
        return block[task.text].to_pylist(), pairs

    def given(self, text: Any, pair: Any) -> Text | InputError:
        """What is classified, or why it cannot be."""
        for part, name in ((text, self.task.text), ("" if pair is None else pair, self.task.text_pair)):
            if not isinstance(part, str):
                return InputError(f"{name} is {type(part).__name__} {part!r:.60}, expected a string")
        try:
            return check_text(text if pair is None else (text, pair), 0)
        except InputError as error:
            return error

    def told(self, block: pa.Table, answers: Sequence[Answer]) -> pa.Table:
        """The block with its answers beside it."""
        import pyarrow as pa

        task = self.task
        errors = [answer if isinstance(answer, Exception) else None for answer in answers]
        if not task.keep_bad and (first := next(filter(None, errors), None)):
            raise first
        found = [answer if isinstance(answer, Prediction) else None for answer in answers]
        labels = () if self.fault else self.classifier.labels
        added = columns(found, labels, scores=task.scores, trace=task.trace)
        if task.keep_bad:
            added["error"] = pa.array([None if error is None else str(error) for error in errors], pa.string())
        for name, column in added.items():
            block = block.append_column(task.prefix + name, column)
        return block
