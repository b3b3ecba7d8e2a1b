"""The interface of a task: outputs, labels, loss, metrics and predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from elbert.data import DEFAULT_COLUMNS, Columns, Form, LabelSet, read_label_names
from elbert.errors import BadRow, InputError
from elbert.exits.signals import Content
from elbert.prediction import Prediction

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["softmax", "sigmoid", "none"]
AnswerKind = Literal["class", "labels", "value", "tags"]
Target = int | float | list[int] | list[float]
Floats = NDArray[Any]
BINS = 15


class Task(ABC):
    """What the outputs of a model mean.

    name:       ``problem_type`` in ``config.json``, where transformers has such a type
    architecture: the end of the name of transformers' classes for it
    title:      its name on the command line
    activation: the function from logits to outputs
    answer_kind: what an answer is, on which its looks in explanations and on pages depend
    content:    what the outputs are, on which the signals and so the policies depend
    multi_label: whether each label is an answer of its own
    per_token:  whether there are outputs for each token instead of one set for the row
    is_exact:   whether an answer equals its label or does not; else it is only near it
    is_graded:  whether each answer is right or wrong, so that a score is a share of right answers; else the score is a
                figure of all answers together, such as a correlation
    tolerance:  how far answers may be apart and count as the same, in the unit of the signals, where no other is named
    score_name: the metric that choices are made by, from :meth:`measure`
    fixed_labels: the label names of a model of this task, where data does not determine them
    least_labels, most_labels: the number of labels that a model can have
    needs_standard_deviation: whether training keeps the standard deviation of the labels, the unit of the signals
    """

    name: ClassVar[str]
    title: ClassVar[str]
    architecture: ClassVar[str] = "ForSequenceClassification"
    activation: ClassVar[Activation]
    answer_kind: ClassVar[AnswerKind]
    content: ClassVar[Content] = "probabilities"
    multi_label: ClassVar[bool] = False
    per_token: ClassVar[bool] = False
    is_exact: ClassVar[bool] = True
    is_graded: ClassVar[bool] = True
    tolerance: ClassVar[float] = 0.0
    score_name: ClassVar[str] = "accuracy"
    training_score: ClassVar[str] = "accuracy"
    fixed_labels: ClassVar[tuple[str, ...]] = ()
    least_labels: ClassVar[int] = 1
    most_labels: ClassVar[int | None] = None
    takes_smoothing: ClassVar[bool] = False
    needs_standard_deviation: ClassVar[bool] = False

    def bind(self, labels: Sequence[str]) -> Task:
        """Return the task of a model with these labels; most tasks do not depend on their names."""
        return self

    # Outputs

    def activate(self, logits: Tensor) -> Tensor:
        """``[..., classes]``: logits to outputs."""
        if self.activation == "none":
            return logits
        return logits.sigmoid() if self.activation == "sigmoid" else logits.softmax(-1)

    def read_answer(self, prediction: Prediction) -> object:
        """What of a prediction is its answer: equal where two predictions answer alike."""
        return prediction.label

    # Training

    def select_answers(self, exit_logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """``[depths, answers, classes]`` and the labels of the answers: what of a batch has a loss."""
        return exit_logits, labels

    def collect_outputs(self, exit_logits: Tensor) -> Tensor:
        """``[rows, depths, classes]``, what :meth:`score_depths` reads: all batches are joined along the first axis."""
        return exit_logits.transpose(0, 1).contiguous()

    @abstractmethod
    def losses(self, exit_logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """``[depths]``: the mean loss at each depth of ``exit_logits [depths, rows, classes]``, in float32."""

    @abstractmethod
    def distillation_losses(self, earlier: Tensor, last: Tensor, temperature: float) -> Tensor:
        """``[depths]``: the loss of ``earlier [depths, rows, classes]`` against the last depth's logits, the same
        shape."""

    @abstractmethod
    def score_depths(self, logits: Floats, labels: Floats) -> Floats:
        """``[n, depths]``: how good each answer is, from ``logits [n, depths, classes]``; higher is better."""

    def predicts_one_class(self, logits: Floats, labels: Floats) -> bool:
        """Whether all depths predict one class for all texts although the labels differ: training has collapsed."""
        return False

    # Labels

    def read_names(
        self,
        data: object,
        source: str = "data",
        columns: Columns = DEFAULT_COLUMNS,
        skip_bad: Callable[[BadRow], None] | None = None,
    ) -> list[str]:
        """Return the label names of a data file or of data in memory, in index order; ``skip_bad`` takes bad rows.

        Raises:
            DataError, BadRow: the labels cannot be used.
        """
        return read_label_names(data, multi=self.multi_label, source=source, columns=columns, skip_bad=skip_bad)

    @abstractmethod
    def read_label(self, label: object, known: LabelSet, form: Form | None) -> Target:
        """The target of one label.

        Raises:
            InputError: the label is not valid.
        """

    def stack_targets(self, targets: Sequence[Target]) -> NDArray[Any]:
        """The targets of all texts as one array."""
        return np.array(targets)

    def find_form(self, labels: Iterable[object], known: LabelSet) -> Form | None:
        """How lists of labels are written, which only all labels together decide; None where it does not matter."""
        return None

    def check_labels(self, labels: Sequence[str]) -> None:
        """Check that a model of this task can have these labels.

        Raises:
            InputError: there are too few or too many.
        """
        least, most = self.least_labels, self.most_labels
        if len(labels) < least or (most is not None and len(labels) > most):
            what = ("one label", "two labels")[least - 1] + ("" if most == least else " or more")
            raise InputError(
                f"{self.title} takes {what}, got {', '.join(labels) or 'none'}; labels (--labels) can name others"
            )

    @abstractmethod
    def read_truth(self, label: object, labels: Sequence[str]) -> NDArray[Any]:
        """The true label of one text, ``[1, …]``, of a model with these labels.

        Raises:
            InputError: the label is not valid.
        """

    @abstractmethod
    def name_truth(self, truth: NDArray[Any], labels: Sequence[str]) -> tuple[str, ...]:
        """The names of an array from :meth:`read_truth`."""

    @abstractmethod
    def are_labels(self, labels: Floats, n: int, classes: int) -> bool:
        """Whether an array of saved outputs can be labels of ``n`` texts."""

    # Answers

    @abstractmethod
    def decode(self, answers: Floats) -> Floats:
        """``[..., n, classes]`` outputs to predictions of the shape of labels."""

    def find_right(self, answers: Floats, labels: Floats) -> NDArray[np.bool_]:
        """``[n]`` or ``[n, depths]``: whether the answers are right; tasks with :attr:`is_exact` have it."""
        raise NotImplementedError

    def differ(self, one: Floats, other: Floats, tolerance: float = 0.0) -> NDArray[np.bool_]:
        """``[...]``: whether the predictions from outputs ``[..., classes]`` differ, values by more than
        ``tolerance``."""
        decoded = self.decode(one) != self.decode(other)
        return np.asarray(decoded.any(-1) if self.multi_label else decoded)

    @abstractmethod
    def measure(self, answers: Floats, labels: Floats) -> dict[str, float]:
        """The metrics of ``answers [n, classes]``."""

    def score(self, answers: Floats, labels: Floats) -> float:
        """The metric :attr:`score_name` alone: of graded answers the share that is right."""
        return float(self.find_right(answers, labels).mean())

    def count(self, answers: Floats, labels: Floats) -> NDArray[np.int64] | None:
        """``[n, depths, k]``: numbers of each answer ``[n, depths, …]`` whose sums over texts give the score.

        None where the score needs the answers themselves.
        """
        return None

    def score_counts(self, counts: NDArray[np.int64]) -> float:
        """The metric :attr:`score_name` from the sums ``[k]`` of :meth:`count`."""
        raise NotImplementedError

    def calibration_error(self, answers: Floats, labels: Floats) -> float | None:
        """Expected calibration error over equal bins of the top probability (Guo et al. 2017); None for values."""
        return None


def bin_errors(confidence: Floats, correct: Floats) -> float:
    """The mean distance of confidence and share of right answers over bins of equal width."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    errors = np.abs(np.bincount(bins, confidence, BINS) - np.bincount(bins, correct, BINS))
    return float(errors.sum() / max(count.sum(), 1))
