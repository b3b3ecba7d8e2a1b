"""Regression: a number for each text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elbert._task_titles import REGRESSION
from elbert.data import Form, LabelSet, resolve_value
from elbert.exits.signals import Content
from elbert.tasks.task import Activation, AnswerKind, Floats, Target, Task

if TYPE_CHECKING:
    from torch import Tensor


class Regression(Task):
    """Labels are values ``[n]``. No answer is right or wrong: answers are as good as they correlate with the labels."""

    name: ClassVar[str] = "regression"
    title: ClassVar[str] = REGRESSION
    activation: ClassVar[Activation] = "none"
    answer_kind: ClassVar[AnswerKind] = "value"
    content: ClassVar[Content] = "values"
    is_exact: ClassVar[bool] = False
    is_graded: ClassVar[bool] = False
    tolerance: ClassVar[float] = 0.1
    score_name: ClassVar[str] = "spearman"
    training_score: ClassVar[str] = "minus_mse"
    fixed_labels: ClassVar[tuple[str, ...]] = ("value",)
    most_labels: ClassVar[int | None] = 1
    needs_standard_deviation: ClassVar[bool] = True

    def losses(self, exit_logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The squared error."""
        from torch.nn import functional

        logits = exit_logits.float()
        target = labels.reshape(logits.shape[1:]).to(logits.dtype).expand_as(logits)
        return functional.mse_loss(logits, target, reduction="none").mean((1, 2))

    def distillation_losses(self, earlier: Tensor, last: Tensor, temperature: float) -> Tensor:
        """The squared difference from the last depth's value."""
        from torch.nn import functional

        return functional.mse_loss(earlier, last, reduction="none").mean((1, 2))

    def score_depths(self, logits: Floats, labels: Floats) -> Floats:
        """Minus the squared error."""
        return np.asarray(-((logits - labels.reshape(len(logits), 1, -1)) ** 2).mean(2))

    def read_label(self, label: object, known: LabelSet, form: Form | None) -> Target:
        """The number."""
        return resolve_value(label)

    def read_truth(self, label: object, labels: Sequence[str]) -> NDArray[Any]:
        """The number, ``[1]``."""
        return np.array([resolve_value(label)])

    def name_truth(self, truth: NDArray[Any], labels: Sequence[str]) -> tuple[str, ...]:
        """The number."""
        return (f"{truth[0]:g}",)

    def are_labels(self, labels: Floats, n: int, classes: int) -> bool:
        """One value for each text."""
        return labels.shape == (n,)

    def decode(self, answers: Floats) -> NDArray[Any]:
        """The (first) value."""
        return answers[..., 0]

    def differ(self, one: Floats, other: Floats, tolerance: float = 0.0) -> NDArray[np.bool_]:
        """Where any value differs by more than the tolerance."""
        return np.asarray((np.abs(one - other) > tolerance).any(-1))

    def measure(self, answers: Floats, labels: Floats) -> dict[str, float]:
        """Pearson's and Spearman's correlation, and the root of the mean squared error."""
        values = self.decode(answers).astype(float)
        return {
            "pearson": pearson(values, labels),
            "spearman": spearman(values, labels),
            "rmse": float(np.sqrt(np.mean((values - labels) ** 2))),
        }

    def score(self, answers: Floats, labels: Floats) -> float:
        """Spearman's correlation."""
        return spearman(self.decode(answers), labels)


def pearson(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's correlation; 0 if ``a`` or ``b`` is constant, where it is undefined."""
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Spearman's correlation: Pearson's of the ranks; 0 if ``a`` or ``b`` is constant."""
    return pearson(find_ranks(a), find_ranks(b))


def find_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """The ranks of values from 1; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.asarray(np.cumsum(count) - (count - 1) / 2, np.float64)
    return np.asarray(middle[place])
