"""Token classification: a tag for each word, and spans of tags (BIO) as predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elbert._task_titles import TOKEN_CLASSIFICATION
from elbert.data import DEFAULT_COLUMNS, Columns, Form, LabelSet, read_tag_names
from elbert.errors import BadRow, InputError
from elbert.prediction import Prediction, TokenPrediction
from elbert.tasks.single_label import SingleLabel
from elbert.tasks.spans import NO_TAG, SpanCodes
from elbert.tasks.task import AnswerKind, Floats, Target

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100  # the label of tokens that have no loss, as in transformers


@dataclass(frozen=True)
class TokenClassification(SingleLabel):
    """Labels are class indices of words, ``[n, words]``, with :data:`NO_TAG` after a text's last word.

    Answers are the predicted indices, of the same shape. A text's spans are right together or not at all only in
    :meth:`differ`; the score is the F1 of spans over all texts.
    """

    labels: tuple[str, ...] = ()

    name: ClassVar[str] = "token_classification"
    title: ClassVar[str] = TOKEN_CLASSIFICATION
    architecture: ClassVar[str] = "ForTokenClassification"
    answer_kind: ClassVar[AnswerKind] = "tags"
    per_token: ClassVar[bool] = True
    is_graded: ClassVar[bool] = False
    score_name: ClassVar[str] = "f1"
    training_score: ClassVar[str] = "f1"

    def bind(self, labels: Sequence[str]) -> TokenClassification:
        """Return the task with the tags of a model."""
        return replace(self, labels=tuple(labels))

    @cached_property
    def codes(self) -> SpanCodes:
        """The spans of tags."""
        return SpanCodes(self.labels)

    def read_answer(self, prediction: Prediction) -> tuple[int, ...]:
        """The spans of the words' tags, as :meth:`differ` compares them."""
        words = prediction.words if isinstance(prediction, TokenPrediction) else ()
        tags = np.array([self.labels.index(word.tag) for word in words], np.int64)
        return tuple(self.codes.of(tags).tolist())

    def select_answers(self, exit_logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """``[depths, words, classes]`` and ``[words]``: the tokens of ``[rows, tokens]`` whose label counts."""
        has_label = labels != IGNORED
        return exit_logits[:, has_label], labels[has_label]

    def collect_outputs(self, exit_logits: Tensor) -> Tensor:
        """``[rows, tokens, depths]``: the predicted tags; NaN where a logit is not finite."""
        tags = exit_logits.argmax(-1).float()
        return tags.masked_fill(~exit_logits.isfinite().all(-1), float("nan")).permute(1, 2, 0).contiguous()

    def score_depths(self, logits: Floats, labels: Floats) -> Floats:
        """``[1, depths]``: the F1 of spans, from tags ``[rows, tokens, depths]`` of :meth:`collect_outputs`."""
        has_label = labels != IGNORED
        tags = np.where(has_label[..., None], logits, NO_TAG).astype(np.int64)
        words, truth = join_words(tags, has_label), join_words(labels[..., None], has_label)[..., 0]
        return np.array([[self.score(words[..., depth], truth) for depth in range(words.shape[-1])]])

    def predicts_one_class(self, logits: Floats, labels: Floats) -> bool:
        """Whether all depths predict one tag for all words although the labels differ."""
        has_label = labels != IGNORED
        tags, truth = logits[has_label], labels[has_label]
        return bool(len(truth)) and bool((tags == tags.flat[0]).all()) and not bool((truth == truth[0]).all())

    def read_names(
        self,
        data: object,
        source: str = "data",
        columns: Columns = DEFAULT_COLUMNS,
        skip_bad: Callable[[BadRow], None] | None = None,
    ) -> list[str]:
        """Return the tags of data, ``O`` first."""
        return read_tag_names(data, source=source, columns=columns, skip_bad=skip_bad)

    def read_label(self, label: object, known: LabelSet, form: Form | None) -> Target:
        """The class indices of a text's tags."""
        if isinstance(label, np.ndarray):
            label = label.tolist()
        if not isinstance(label, list | tuple):
            raise InputError(
                f"tags are {label!r:.80}, expected a list with a tag for each word, in a column 'tags' "
                "(jsonl, parquet or conll)"
            )
        return [known.read_class(tag) for tag in label]

    def stack_targets(self, targets: Sequence[Target]) -> NDArray[Any]:
        """``[n, words]``, with :data:`NO_TAG` after a text's last word."""
        rows = [row if isinstance(row, list) else [row] for row in targets]
        stacked = np.full((len(rows), max(map(len, rows), default=0)), NO_TAG, np.int64)
        for row, tags in zip(stacked, rows, strict=True):
            row[: len(tags)] = tags
        return stacked

    def read_truth(self, label: object, labels: Sequence[str]) -> NDArray[Any]:
        """One label cannot be that of all words.

        Raises:
            InputError: always.
        """
        raise InputError("one label is not the tags of all words: leave the label out, or evaluate the model on data")

    def name_truth(self, truth: NDArray[Any], labels: Sequence[str]) -> tuple[str, ...]:
        """The tag of each word."""
        return tuple(labels[int(index)] for index in truth[0] if index != NO_TAG)

    def are_labels(self, labels: Floats, n: int, classes: int) -> bool:
        """Class indices of words."""
        return labels.ndim == 2 and len(labels) == n and bool(((labels >= NO_TAG) & (labels < classes)).all())

    def decode(self, answers: Floats) -> NDArray[Any]:
        """The tags, as they are."""
        return answers

    def differ(self, one: Floats, other: Floats, tolerance: float = 0.0) -> NDArray[np.bool_]:
        """``[...]``: whether the spans of ``[..., words]`` differ."""
        return np.asarray((self.codes.of(one) != self.codes.of(other)).any(-1))

    def find_right(self, answers: Floats, labels: Floats) -> NDArray[np.bool_]:
        """Where all spans are right."""
        return ~self.differ(answers, labels if answers.ndim == labels.ndim else labels[:, None])

    def calibration_error(self, answers: Floats, labels: Floats) -> float | None:
        """None: answers are tags, without probabilities."""
        return None

    def measure(self, answers: Floats, labels: Floats) -> dict[str, float]:
        """F1, precision and recall of spans, as seqeval defines them, and the share of right tags."""
        right, predicted, true = self.codes.count(answers, labels).sum(0).tolist()
        is_word = labels != NO_TAG
        return {
            "f1": divide(2 * right, predicted + true),
            "precision": divide(right, predicted),
            "recall": divide(right, true),
            "accuracy": float((answers == labels)[is_word].mean()) if is_word.any() else 0.0,
        }

    def score(self, answers: Floats, labels: Floats) -> float:
        """The F1 of spans."""
        return self.score_counts(self.codes.count(answers, labels).sum(0))

    def count(self, answers: Floats, labels: Floats) -> NDArray[np.int64]:
        """Spans that are right, predicted and true."""
        return self.codes.count(answers, labels[:, None])

    def score_counts(self, counts: NDArray[np.int64]) -> float:
        """The F1 of spans."""
        right, predicted, true = counts.tolist()
        return divide(2 * right, predicted + true)


def divide(part: int, whole: int) -> float:
    """A share, 0 of nothing."""
    return part / whole if whole else 0.0


def join_words(values: NDArray[Any], has_label: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``[rows, tokens, k]`` to ``[rows, words, k]``: the tokens with a label, one after another."""
    counts = has_label.sum(1)
    words = np.full((len(values), int(counts.max(initial=0)), values.shape[-1]), NO_TAG, np.int64)
    words[np.arange(words.shape[1]) < counts[:, None]] = values[has_label]
    return words
