"""The output of one depth in an explanation, and how it is read and named: a class, labels, a value, or tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elbert.evaluation import Outputs
from elbert.exits import Trace
from elbert.prediction import TokenTraceStep
from elbert.tasks.spans import NO_TAG
from elbert.tasks.task import AnswerKind
from elbert.tokenization.tokens import Text


@dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word of a text with its most probable tag at one depth."""

    word: str
    tag: str
    score: float


@dataclass(frozen=True)
class DepthOutput:
    """The exit head's output at one depth, and the signals that policies read.

    ``label`` is the most probable label and ``score`` its probability; ``answer`` holds the predicted labels
    (one, or for a multi-label model those above 0.5). ``since`` is the depth since which the prediction is
    the same. ``divergence`` from the depth before is in nats; None at the first. Of a regression ``score`` is the
    value, and ``change`` its difference from the depth before in standard deviations of the training labels, None at
    the first; the other signals are None, as ``change`` is for probabilities. ``attention [tokens]`` is what each token
    receives from the pooled token, mean over attention heads; None if it was not computed. ``flops`` is the total of
    the row so far.

    Of a token classifier ``words`` are the tagged words and ``answer`` their tags, ``changed`` the indices of the words
    whose tag is not that of the depth before, and ``least_settled`` is the index of the word with the highest entropy:
    ``label`` and ``score`` are of that word, and signals are each those of its least settled word.
    """

    depth: int
    scores: Mapping[str, float]
    label: str
    score: float
    answer: tuple[str, ...]
    since: int
    entropy: float | None
    confidence: float | None
    gap: float | None
    divergence: float | None
    change: float | None
    flops: int
    attention: tuple[float, ...] | None = None
    words: tuple[TaggedWord, ...] = ()
    changed: tuple[int, ...] = ()
    least_settled: int | None = None


class AnswerForm:
    """How the answers of a task are read and written in explanations; this is the form of classes.

    head, unit: the names of the columns for the answer and its score
    own_signal: the signal that shows how settled an answer is under any policy
    wrong: title of a survey's list of the worst answers, and what comes first in it
    """

    head: ClassVar[str] = "answer"
    unit: ClassVar[str] = "probability"
    own_signal: ClassVar[str] = "entropy"
    wrong: ClassVar[tuple[str, str]] = ("Wrong at the exit", "most confident first")

    def read(self, outputs: Outputs, index: int, words: Sequence[TokenTraceStep]) -> dict[str, Any]:
        """The fields of :class:`DepthOutput` that hold the answer of the single text at the depth ``index + 1``."""
        scores = outputs.probabilities[0, index].tolist()
        best = max(range(len(scores)), key=scores.__getitem__)
        names = outputs.label_names
        return {
            "scores": dict(zip(names, scores, strict=True)),
            "label": names[best],
            "score": scores[best],
            "answer": self.choose(scores, names),
        }

    def choose(self, scores: Sequence[float], names: Sequence[str]) -> tuple[str, ...]:
        """The predicted labels."""
        return (names[max(range(len(scores)), key=scores.__getitem__)],)

    def name(self, step: DepthOutput) -> str:
        """The answer in short."""
        return step.label

    def write(self, step: DepthOutput) -> str:
        """The whole answer."""
        return ", ".join(step.answer) or "none"

    def scale(self, scores: list[float]) -> list[float]:
        """Scores on a scale from 0 to 1."""
        return scores

    def compare(self, step: DepthOutput, other: DepthOutput) -> str:
        """The answer ``other`` beside ``step``."""
        same = "the same" if other.answer == step.answer else "another answer"
        return f"{same}: {other.label} {other.score:.3f}"

    def name_rival(self, step: DepthOutput, other: DepthOutput) -> tuple[str, float | None]:
        """Label and score of another policy's answer beside that of the policy."""
        return other.label, other.score

    def follow(self, outputs: Outputs, trace: Trace) -> NDArray[Any]:
        """``[n, depths]``: the number that shows how each text of a survey settles: the last depth's class, here."""
        probabilities = outputs.probabilities
        found: NDArray[Any] = probabilities[np.arange(len(outputs)), :, probabilities[:, -1].argmax(-1)]
        return found

    def score_listed(self, answer: NDArray[Any], followed: float) -> float:
        """The score of one answer ``[classes]`` of a survey; ``followed`` is the number of :meth:`follow` there."""
        return float(answer.max())

    def write_decoded(self, answer: Any, outputs: Outputs, text: Text) -> str:
        """An answer of a survey, or a label: what :meth:`Task.decode` gives for one text."""
        return ", ".join(outputs.task.name_truth(np.asarray([answer]), outputs.label_names)) or "none"


class LabelsForm(AnswerForm):
    """Any number of labels."""

    def follow(self, outputs: Outputs, trace: Trace) -> NDArray[Any]:
        """The confidence of the least confident label."""
        return trace.window("confidence", outputs.depths)

    def choose(self, scores: Sequence[float], names: Sequence[str]) -> tuple[str, ...]:
        """The labels more probable than one half."""
        return tuple(name for name, score in zip(names, scores, strict=True) if score > 0.5)


class ValueForm(AnswerForm):
    """A value."""

    unit: ClassVar[str] = "value"
    own_signal: ClassVar[str] = "change"
    wrong: ClassVar[tuple[str, str]] = ("Farthest from the label at the exit", "the largest difference first")

    def write(self, step: DepthOutput) -> str:
        """The value."""
        return f"{step.score:.3f}"

    def scale(self, scores: list[float]) -> list[float]:
        """From the least to the largest."""
        low, span = min(scores), (max(scores) - min(scores)) or 1.0
        return [(score - low) / span for score in scores]

    def compare(self, step: DepthOutput, other: DepthOutput) -> str:
        """How far the values are apart, in the unit of the labels."""
        return f"{other.score:.3f}, {abs(other.score - step.score):.3f} from this value"

    def follow(self, outputs: Outputs, trace: Trace) -> NDArray[Any]:
        """The value."""
        return outputs.probabilities[..., 0]

    def score_listed(self, answer: NDArray[Any], followed: float) -> float:
        """The value."""
        return followed

    def write_decoded(self, answer: Any, outputs: Outputs, text: Text) -> str:
        """The value."""
        return f"{float(answer):.3f}"


class TagsForm(AnswerForm):
    """Tags of words."""

    head: ClassVar[str] = "least settled"

    def read(self, outputs: Outputs, index: int, words: Sequence[TokenTraceStep]) -> dict[str, Any]:
        """The words, and the one that is least settled."""
        step, before = words[index], words[index - 1] if index else None
        least = None if step.least_settled is None else step.words[step.least_settled]
        pairs = zip(step.words, step.words if before is None else before.words, strict=True)
        return {
            "scores": {},
            "label": "O" if least is None else least.tag,
            "score": 1.0 if least is None else least.score,
            "answer": tuple(word.tag for word in step.words),
            "words": tuple(TaggedWord(word.word, word.tag, word.score) for word in step.words),
            "changed": tuple(number for number, (now, then) in enumerate(pairs) if now.tag != then.tag),
            "least_settled": step.least_settled,
        }

    def name(self, step: DepthOutput) -> str:
        """The least settled word and its tag."""
        return "no word" if step.least_settled is None else f"{step.words[step.least_settled].word} {step.label}"

    def write(self, step: DepthOutput) -> str:
        """The words that have a tag other than O."""
        return ", ".join(f"{word.word} {word.tag}" for word in step.words if word.tag != "O") or "none"

    def compare(self, step: DepthOutput, other: DepthOutput) -> str:
        """The tags that differ."""
        return describe_changes(step.words, other.words) or "the same tags"

    def name_rival(self, step: DepthOutput, other: DepthOutput) -> tuple[str, float | None]:
        """How many tags differ."""
        count = sum(here != there for here, there in zip(step.answer, other.answer, strict=True))
        return ("same tags" if not count else f"{count} tag{'s' if count > 1 else ''} differ"), None

    def follow(self, outputs: Outputs, trace: Trace) -> NDArray[Any]:
        """The confidence of the least confident word."""
        return trace.window("confidence", outputs.depths)

    def score_listed(self, answer: NDArray[Any], followed: float) -> float:
        """The confidence of the least confident word."""
        return followed

    def write_decoded(self, answer: Any, outputs: Outputs, text: Text) -> str:
        """The words that have a tag other than O."""
        tags = ["O" if index == NO_TAG else outputs.label_names[index] for index in answer.tolist()]
        pairs = zip(str(text).split(" "), tags, strict=False)
        return ", ".join(f"{word} {tag}" for word, tag in pairs if tag != "O") or "none"


FORMS: dict[AnswerKind, AnswerForm] = {
    "class": AnswerForm(),
    "labels": LabelsForm(),
    "value": ValueForm(),
    "tags": TagsForm(),
}


def describe_changes(before: Sequence[TaggedWord], now: Sequence[TaggedWord]) -> str:
    """The words whose tags differ: "york O → I-city"."""
    pairs = zip(before, now, strict=True)
    return ", ".join(f"{new.word} {old.tag} → {new.tag}" for old, new in pairs if old.tag != new.tag)
