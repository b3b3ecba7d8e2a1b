"""The actor: a process of the cluster that holds one engine, and answers blocks of rows with it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from elbert.errors import BundleError, ElbertError, InputError
from elbert.prediction import Prediction
from elbert.ray.columns import columns, names
from elbert.text import Text, checked

if TYPE_CHECKING:
    import pyarrow as pa

    from elbert.ray.shared import Answer, Shared


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
    def shared(self) -> Shared:
        """The engine, which starts with the first block."""
        from elbert.ray.shared import Shared

        return Shared(self.classifier, self.classifier.policy, remember=self.task.trace)

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
            return checked(text if pair is None else (text, pair), 0)
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
