"""Documents: texts that are longer than the model, read in windows, whose answers are combined into one.

A window is a row like any other. A document stops reading when the combined answer is settled: a policy decides over a
trace whose steps are windows instead of depths.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from elbert.errors import ElbertError, InputError
from elbert.exits import Policy, Rule, Trace, check_policy
from elbert.inference.step import DEADLINE
from elbert.inference.windows import join_parts, split_text
from elbert.model import ModelConfig
from elbert.prediction import Prediction
from elbert.tasks import Task
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokens import Text

Combination = Literal["mean", "maximum", "vote"]
COMBINATIONS: tuple[Combination, ...] = get_args(Combination)
CUT = "cut"
FORM = "cut, windows, or windows(COMBINATION, POLICY) with mean, maximum or vote, and a policy over the windows"
SPEC = re.compile(r"windows\s*(?:\(\s*(\w+)\s*(?:,(.*))?\))?", re.DOTALL)
MAX_STEPS = 64  # windows that a policy over windows may name

Probabilities = NDArray[Any]


@dataclass(frozen=True)
class Windows:
    """How a text that is longer than the model is read in windows; written ``windows(mean, entropy(0.1))``.

    combination: how the answers of the windows become one
    policy:      decides after which window a document is settled; None is the policy of the rows
    """

    combination: Combination = "mean"
    policy: Policy | None = None

    def __str__(self) -> str:
        """Return the spec."""
        return f"windows({self.combination}{'' if self.policy is None else f', {self.policy}'})"

    @property
    def policy_combination(self) -> Combination:
        """The combination that policies read: a share of votes is 1 after one window, so of votes the mean."""
        return "mean" if self.combination == "vote" else self.combination

    def find_rules(self, policy: Policy) -> tuple[Rule, ...]:
        """Return the rules that end a document; ``policy`` is that of its rows.

        Taken from the policy of the rows, rules that read no answer (``depth(k)``) are left out: they count depths.
        Temperatures belong to depths: the last one, that of full depth, holds for all windows.
        """
        rules = policy.rules if self.policy is None else self.policy.rules
        return tuple(
            replace(rule, temperatures=tuple(steps[-1:] for steps in rule.temperatures))
            for rule in rules
            if rule.reads or self.policy is not None
        )


def parse_long(
    spec: str | Windows | None, config: ModelConfig, resolve_policy: Callable[[str | Policy], Policy]
) -> Windows | None:
    """Return how long texts are read: in windows, or None where they are cut; token classifiers have no combination.

    Raises:
        InputError: the spec cannot be read, or the combination does not fit the model.
        PolicyError: the policy cannot be read.
    """
    if spec is None:
        return Windows() if config.task.per_token else None
    if spec == CUT:
        return None
    found = SPEC.fullmatch(spec.strip()) if isinstance(spec, str) else None
    if not isinstance(spec, Windows) and (found is None or (found[1] or "mean") not in COMBINATIONS):
        raise InputError(f"long is {spec!r:.80}, expected {FORM}")
    if found is not None:
        stop = found[2] and resolve_policy(found[2].strip())
        options = Windows(found[1] or "mean", stop or None)  # type: ignore[arg-type]  # one of COMBINATIONS
    elif isinstance(spec, Windows):
        options = spec
    if config.task.per_token and (found is None or found[1]):
        raise InputError("token classification joins the entities of windows, so nothing is combined: long is windows")
    if options.combination == "vote" and config.task.content == "values":
        raise InputError("a vote needs labels, and this model gives values: use mean or maximum")
    if options.policy is not None:
        limit = "a policy over windows counts windows, at most {}"
        check_policy(options.policy, MAX_STEPS, config.task.content, limit=limit)
    return options


class Document(ABC):
    """One text in windows; each is a row, which is numbered by its place in the text."""

    def __init__(self, windows: Sequence[Tokens], texts: Sequence[str] = ()) -> None:
        """Take the rows of the windows; ``texts`` are theirs, where tokens are classified."""
        self.windows = windows
        self.texts = texts
        self.predictions: dict[int, Prediction] = {}
        self._taken = 0

    @property
    def truncated(self) -> bool:
        """Whether a part of the text is in no window."""
        return any(window.truncated for window in self.windows)

    def take_windows(self) -> list[int]:
        """Return the numbers of the windows to read now; none if others must be read first."""
        if len(self.predictions) < self._taken:
            return []
        first, self._taken = self._taken, min(len(self.windows), max(self._taken + 1, self.find_first_stop()))
        return list(range(first, self._taken))

    def add(self, number: int, prediction: Prediction) -> Prediction | None:
        """Add the prediction of a window; return that of the document once it is complete."""
        self.predictions[number] = prediction
        if len(self.predictions) < self._taken:
            return None
        is_late = any(part.reason == DEADLINE for part in self.predictions.values())
        is_complete = is_late or self._taken == len(self.windows) or self.is_settled()
        return self.finish(is_late=is_late) if is_complete else None

    def finish(self, *, is_late: bool = False) -> Prediction:
        """Return the prediction from the windows that have one; ``is_late`` where the deadline ends the document."""
        combined = self.combine([self.predictions[number] for number in sorted(self.predictions)])
        return replace(combined, reason=DEADLINE) if is_late else combined

    @abstractmethod
    def find_first_stop(self) -> int:
        """Return the number of windows below which the document cannot be settled: they are read together."""

    @abstractmethod
    def is_settled(self) -> bool:
        """Return whether the windows so far, which are the first ones, settle the document."""

    @abstractmethod
    def combine(self, parts: Sequence[Prediction]) -> Prediction:
        """Return the prediction of the document from those of the windows that were read."""


class TaggedDocument(Document):
    """A text whose tokens are classified: all windows are read, and their entities joined."""

    def __init__(self, windows: Sequence[Tokens], texts: Sequence[str], starts: Sequence[int]) -> None:
        """Take the rows, the texts, and the index of the first character of each window."""
        super().__init__(windows, texts)
        self._starts = starts

    def find_first_stop(self) -> int:
        """All windows."""
        return len(self.windows)

    def is_settled(self) -> bool:
        """Not before all windows are read."""
        return False

    def combine(self, parts: Sequence[Prediction]) -> Prediction:
        """Join entities and words."""
        joined = join_parts(parts, self._starts)
        if len(self.windows) == 1:
            return joined
        return replace(joined, windows=len(self.windows), window_depths=tuple(part.depth for part in parts))


class ClassifiedDocument(Document):
    """A text that is classified, or that has a value, as a whole."""

    def __init__(self, windows: Sequence[Tokens], config: ModelConfig, options: Windows, rules: Sequence[Rule]) -> None:
        super().__init__(windows)
        self._config = config
        self._options = options
        self._rules = rules
        self._first_stop = min((rule.size for rule in rules), default=len(windows))

    def find_first_stop(self) -> int:
        """The number of windows that the first rule needs."""
        return self._first_stop

    def is_settled(self) -> bool:
        """Apply the rules to the combined answer after each of the windows."""
        outputs = self._read_outputs([self.predictions[number] for number in range(len(self.predictions))])
        config = self._config
        steps = accumulate(outputs, self._options.policy_combination, config.task)
        trace = Trace(
            np.full(1, len(steps)), steps[None], config.multi_label, content=config.task.content, scale=config.scale
        )
        return any(bool(rule.fires(trace)[0]) for rule in self._rules)

    def combine(self, parts: Sequence[Prediction]) -> Prediction:
        """Combine probabilities or values; depth and reason are those of the deepest window."""
        deepest, depths = max(parts, key=lambda part: part.depth), tuple(part.depth for part in parts)
        if len(self.windows) == 1:
            return replace(deepest, windows=1, window_depths=depths)
        outputs, task, labels = self._read_outputs(parts), self._config.task, self._config.labels
        combined = accumulate(outputs, self._options.combination, task)[-1]
        best = int(find_best(combined, accumulate(outputs, "mean", task)[-1]))
        scores = combined.tolist()
        return replace(
            deepest,
            label=labels[best],
            score=scores[best],
            scores=dict(zip(labels, scores, strict=True)),
            truncated=self.truncated,
            windows=len(self.windows),
            window_depths=depths,
        )

    def _read_outputs(self, parts: Sequence[Prediction]) -> Probabilities:
        """``[windows, classes]``."""
        return np.array([[part.scores[label] for label in self._config.labels] for part in parts], np.float32)


def accumulate(outputs: Probabilities, combination: Combination, task: Task) -> Probabilities:
    """``[..., windows, classes]``: the combined answer after each window, in float64 and rounded once."""
    if combination == "maximum":
        combined = np.maximum.accumulate(outputs.astype(np.float64), -2)
        if has_one_label(task):
            combined /= combined.sum(-1, keepdims=True)
        return combined.astype(np.float32)
    counted: NDArray[Any] = outputs
    if combination == "vote":
        is_top = outputs.argmax(-1)[..., None] == np.arange(outputs.shape[-1])
        counted = is_top if has_one_label(task) else outputs >= 0.5
    total = np.cumsum(counted, -2, np.float64)
    means: Probabilities = (total / np.arange(1, outputs.shape[-2] + 1)[:, None]).astype(np.float32)
    return means


def find_best(scores: Probabilities, means: Probabilities) -> NDArray[np.int64]:
    """``[...]``: the class with the highest score; of classes with the same score, the one with the higher mean."""
    best: NDArray[np.int64] = np.where(scores == scores.max(-1, keepdims=True), means, -np.inf).argmax(-1)
    return best


def has_one_label(task: Task) -> bool:
    """Whether a text has exactly one of the labels."""
    return task.content == "probabilities" and not task.multi_label


def build_documents(
    texts: Sequence[Text], tokeniser: Tokeniser, config: ModelConfig, options: Windows, policy: Policy
) -> list[Document | ElbertError]:
    """Return the document of each text, or its error; ``policy`` is that of the rows."""
    if config.task.per_token:
        return [build_tagged_document(text, tokeniser) for text in texts]
    rules = options.find_rules(policy)
    return [
        windows if isinstance(windows, ElbertError) else ClassifiedDocument(windows, config, options, rules)
        for windows in tokeniser.encode_windows(texts)
    ]


def build_tagged_document(text: Text, tokeniser: Tokeniser) -> Document | ElbertError:
    """Return the document of a text whose tokens are classified, or its error."""
    parts = split_text(text, tokeniser) if isinstance(text, str) else [(0, text)]
    rows = list[Tokens]()
    for row in tokeniser.encode_each([part for _, part in parts]):
        if isinstance(row, ElbertError):
            return row
        rows.append(row)
    return TaggedDocument(rows, [str(part) for _, part in parts], [start for start, _ in parts])
