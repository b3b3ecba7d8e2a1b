"""The actor: one engine that classifies blocks from several threads; free places are filled from the next block."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from elbert.classifier import Classifier
from elbert.engine import StepResult
from elbert.errors import BundleError, ElbertError, InputError
from elbert.exits import Policy
from elbert.inference import Document, Exits, Windows, build_documents, build_predictions, build_token_predictions
from elbert.inference.documents import CUT
from elbert.prediction import Prediction
from elbert.ray.columns import column_names, to_columns
from elbert.tokenization import Tokens
from elbert.tokenization.tokens import Text, check_text

if TYPE_CHECKING:
    import pyarrow as pa

Result = Prediction | Exception


@dataclass(frozen=True)
class Task:
    """What actors compute: the model, its load options, the columns they read and add.

    ``weights`` is the hash that the model's weights must have. With ``keep_bad``, a row that fails gets its reason in
    the column ``error``; otherwise the run ends.
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
    long: str | None = None
    per_token: bool = False

    @property
    def has_windows(self) -> bool:
        """Whether texts may be read in windows."""
        return self.long is not None and self.long != CUT

    @property
    def names(self) -> list[str]:
        """The columns that are added."""
        optional = {"scores": self.scores, "trace": self.trace, "windows": self.has_windows, "tags": self.per_token}
        names = [*column_names(**optional), *(["error"] if self.keep_bad else [])]
        return [self.prefix + name for name in names]

    def check_columns(self, present: Sequence[str]) -> None:
        """Check a dataset's columns.

        Raises:
            InputError: there is no text column, or an added column exists already.
        """
        if self.text not in present:
            raise InputError(f"no column named {self.text}; columns found: {', '.join(present) or 'none':.300}")
        if taken := [name for name in self.names if name in present]:
            raise InputError(
                f"a column named {taken[0]} exists already; set a prefix for the added columns, such as 'predicted_'"
            )


class Actor:
    """One engine in one process. Blocks come on several threads at once and share its layer calls."""

    def __init__(self, task: Task) -> None:
        self.task = task
        # OMP_NUM_THREADS is the actor's share of the processors; tokenization has the same share.
        os.environ.setdefault("RAYON_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
        self.load_error: ElbertError | None = None
        try:
            self.load()
        except ElbertError as error:  # raised with the first block: Ray restarts actors whose start fails, for ever
            self.load_error = BundleError(f"{error} (on {socket.gethostname()})")

    def load(self) -> None:
        """Load the model.

        Raises:
            ElbertError: it cannot be loaded here, or its weights are not those of the task.
        """
        self.classifier = Classifier.load(self.task.model, self.task.policy, **self.task.load)
        if self.classifier.bundle.weights_hash != self.task.weights:
            raise BundleError(
                f"{self.task.model or 'the bundled model'}: other weights than on the machine that started the run"
            )

    @cached_property
    def engine(self) -> SharedEngine:
        """The engine; it starts with the first block."""
        windows = self.classifier.resolve_long(self.task.long)
        return SharedEngine(self.classifier, self.classifier.policy, keep_trace=self.task.trace, windows=windows)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Return the block with the added columns.

        Raises:
            ElbertError: the model cannot be used, or a row fails and the task has no ``keep_bad``.
        """
        if self.load_error:  # no fault of a row, so not in a column that callers may skip
            raise self.load_error
        self.task.check_columns(block.column_names)
        return self._add_columns(block, self._classify(block))

    def _classify(self, block: pa.Table) -> Sequence[Result]:
        rows = [self._check_row(*row) for row in zip(*self._text_columns(block), strict=True)]
        results = iter(self.engine.classify([row for row in rows if not isinstance(row, Exception)]))
        return [row if isinstance(row, Exception) else next(results) for row in rows]

    def _text_columns(self, block: pa.Table) -> tuple[list[Any], list[Any]]:
        task = self.task
        has_pairs = task.text_pair in block.column_names
        pairs = block[task.text_pair].to_pylist() if has_pairs else [None] * block.num_rows
        return block[task.text].to_pylist(), pairs

    def _check_row(self, text: Any, pair: Any) -> Text | InputError:
        for part, name in ((text, self.task.text), ("" if pair is None else pair, self.task.text_pair)):
            if not isinstance(part, str):
                return InputError(f"{name} is {type(part).__name__} {part!r:.60}, expected a string")
        try:
            return check_text(text if pair is None else (text, pair), 0)
        except InputError as error:
            return error

    def _add_columns(self, block: pa.Table, results: Sequence[Result]) -> pa.Table:
        import pyarrow as pa

        task = self.task
        errors = [result if isinstance(result, Exception) else None for result in results]
        if not task.keep_bad and (first := next(filter(None, errors), None)):
            raise first
        predictions = [result if isinstance(result, Prediction) else None for result in results]
        added = to_columns(
            predictions,
            self.classifier.labels,
            scores=task.scores,
            trace=task.trace,
            windows=task.has_windows,
            tags=task.per_token,
        )
        if task.keep_bad:
            added["error"] = pa.array([None if error is None else str(error) for error in errors], pa.string())
        for name, column in added.items():
            block = block.append_column(task.prefix + name, column)
        return block


class SharedEngine:
    """Classifies blocks from several threads with one engine, which has its own thread."""

    def __init__(
        self, classifier: Classifier, policy: Policy, *, keep_trace: bool = False, windows: Windows | None = None
    ) -> None:
        self._classifier = classifier
        self._policy = policy
        self._keep_trace = keep_trace
        self._windows = windows
        self._queue = BlockQueue()
        self._failure: BaseException | None = None
        Thread(target=self._run, name="elbert-engine", daemon=True).start()

    def classify(self, texts: Sequence[Text]) -> list[Result]:
        """The prediction or the error of each text, in order; blocks until all are done.

        Raises:
            Exception: what ended the engine's thread.
        """
        if not texts:
            return []
        block = Block(self._tokenize(texts))
        self._queue.put(block)
        if self._failure is not None:  # checked after put: a failure from now on includes this block
            raise self._failure
        return block.done.result()

    def _tokenize(self, texts: Sequence[Text]) -> Sequence[Entry]:
        tokeniser, config = self._classifier.tokeniser, self._classifier.bundle.config
        if self._windows is None:
            return tokeniser.encode_each(texts)
        return build_documents(texts, tokeniser, config, self._windows, self._policy)

    def _run(self) -> None:
        try:
            for result in self._classifier.early_exit_loop(self._queue, self._policy, keep_trace=self._keep_trace):
                self._deliver(result)
        except BaseException as error:  # whatever ends this thread, its callers must not wait for ever
            self._failure = error
            self._fail_all(error)

    def _deliver(self, result: StepResult) -> None:
        for failure in result.failures:
            self._queue.add_result(failure.identity, failure.error)
        for exits in result.exits:
            for identity, prediction in self._build_predictions(exits):
                self._queue.add_result(identity, prediction)

    def _build_predictions(self, exits: Exits) -> Iterator[tuple[int, Prediction]]:
        config, owners = self._classifier.bundle.config, self._queue.owners
        rows = {identity: owners[identity] for identity in exits.identity.tolist()}
        truncated = {identity for identity, row in rows.items() if row.tokens is not None and row.tokens.truncated}
        if not config.task.per_token:
            return build_predictions(exits, config, truncated)
        sources = {identity: (row.text, row.tokens) for identity, row in rows.items() if row.tokens is not None}
        return build_token_predictions(exits, config, sources, self._classifier.tokeniser, truncated)

    def _fail_all(self, error: BaseException) -> None:
        while not self._queue.is_live:
            self._queue.read_block()
        for row in self._queue.owners.values():
            if not row.block.done.done():
                row.block.done.set_exception(error)


Entry = Tokens | Document | ElbertError


class BlockRow(NamedTuple):
    """A row in the engine: a text of a block by its position there, or one of its windows."""

    block: Block
    position: int
    window: int | None

    @property
    def entry(self) -> Tokens | ElbertError:
        """The row's tokens, or the error of a text."""
        entry = self.block.entries[self.position]
        return entry.windows[self.window or 0] if isinstance(entry, Document) else entry

    @property
    def tokens(self) -> Tokens | None:
        """The row's tokens; None of a text that has an error."""
        return self.entry if isinstance(self.entry, Tokens) else None

    @property
    def text(self) -> str:
        """The text of a window whose tokens are classified."""
        entry = self.block.entries[self.position]
        has_text = isinstance(entry, Document) and self.window is not None and entry.texts
        return entry.texts[self.window] if has_text else ""  # type: ignore[union-attr, index]


class BlockQueue:
    """The source of an engine: blocks, one after another, as long as the process lives."""

    has_ended = False

    def __init__(self) -> None:
        self._blocks: Queue[Block] = Queue()
        self._identities = count()
        self._ready = deque[BlockRow]()  # further windows of documents
        self.owners: dict[int, BlockRow] = {}  # by the engine's number of the row

    def put(self, block: Block) -> None:
        """Add a block."""
        self._blocks.put(block)

    @property
    def is_live(self) -> bool:
        """Whether reading would wait for a block: the rows in the engine then continue without one."""
        return not self._ready and self._blocks.empty()

    def read_block(self) -> Sequence[Tokens | ElbertError]:
        """The further windows of documents, or the rows of the next block."""
        rows = list(self._ready) or self._blocks.get().list_rows()
        self._ready.clear()
        self.owners.update((next(self._identities), row) for row in rows)
        return [row.entry for row in rows]

    def add_result(self, identity: int, result: Result) -> None:
        """Add the result of a row to its block; a document may then need further windows."""
        row = self.owners.pop(identity)
        document = row.block.entries[row.position]
        if isinstance(result, Exception) or not isinstance(document, Document) or row.window is None:
            row.block.add_result(row.position, result)
        elif (complete := document.add(row.window, result)) is not None:
            row.block.add_result(row.position, complete)
        else:
            self._ready.extend(BlockRow(row.block, row.position, window) for window in document.take_windows())


@dataclass
class Block:
    """Texts that are submitted together; ``done`` gets all results when the last one is known."""

    entries: Sequence[Entry]
    done: Future[list[Result]] = field(default_factory=Future)
    results: dict[int, Result] = field(default_factory=dict)

    def list_rows(self) -> list[BlockRow]:
        """The rows of the texts, the first windows of documents."""
        return [
            BlockRow(self, index, window)
            for index, entry in enumerate(self.entries)
            for window in (entry.take_windows() if isinstance(entry, Document) else (None,))
        ]

    def add_result(self, index: int, result: Result) -> None:
        """Add the result of one text, once: another window of the same document may fail too."""
        if index in self.results:
            return
        self.results[index] = result
        if len(self.results) == len(self.entries):
            self.done.set_result([self.results[i] for i in range(len(self.entries))])
