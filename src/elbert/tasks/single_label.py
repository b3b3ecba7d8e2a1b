"""Single-label classification: one class for each text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require
from elbert._task_titles import SINGLE_LABEL
from elbert.data import Form, LabelSet, resolve_label
from elbert.tasks.task import Activation, AnswerKind, Floats, Target, Task, bin_errors

if TYPE_CHECKING:
    from torch import Tensor


class SingleLabel(Task):
    """Labels are class indices ``[n]``."""

    name: ClassVar[str] = "single_label_classification"
    title: ClassVar[str] = SINGLE_LABEL
    activation: ClassVar[Activation] = "softmax"
    answer_kind: ClassVar[AnswerKind] = "class"
    least_labels: ClassVar[int] = 2
    takes_smoothing: ClassVar[bool] = True

    def losses(self, exit_logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy; ``smoothing`` is the share of the label's probability that all classes share evenly."""
        from torch.nn import functional

        depths, rows, classes = exit_logits.shape
        flat = functional.cross_entropy(
            exit_logits.float().reshape(-1, classes),
            labels.reshape(-1).repeat(depths),
            reduction="none",
            label_smoothing=smoothing,
        )
        return flat.view(depths, rows).mean(1)

    def distillation_losses(self, earlier: Tensor, last: Tensor, temperature: float) -> Tensor:
        """Cross-entropy with the last depth's probabilities, both at a temperature."""
        soft = (last / temperature).softmax(-1)
        loss = -(soft * (earlier / temperature).log_softmax(-1)).sum(-1)
        return loss.mean(1) * temperature**2

    def score_depths(self, logits: Floats, labels: Floats) -> Floats:
        """1 where the class is right."""
        return np.asarray(logits.argmax(-1) == labels[:, None])

    def predicts_one_class(self, logits: Floats, labels: Floats) -> bool:
        """Whether all depths predict one class for all texts although the labels differ."""
        if (labels == labels[0]).all() or not np.isfinite(logits).all():
            return False
        predicted = logits.argmax(-1)
        return bool((predicted == predicted[0, 0]).all())

    def read_label(self, label: object, known: LabelSet, form: Form | None) -> Target:
        """The index of the class."""
        return known.read_class(label)

    def read_truth(self, label: object, labels: Sequence[str]) -> NDArray[Any]:
        """The index of the class, ``[1]``."""
        return np.array([resolve_label(label, labels)])

    def name_truth(self, truth: NDArray[Any], labels: Sequence[str]) -> tuple[str, ...]:
        """The class."""
        return tuple(labels[int(index)] for index in truth)

    def are_labels(self, labels: Floats, n: int, classes: int) -> bool:
        """Indices of classes."""
        return labels.shape == (n,) and bool(np.isin(labels, np.arange(classes)).all())

    def decode(self, answers: Floats) -> NDArray[Any]:
        """The most probable class."""
        return np.asarray(answers.argmax(-1))

    def find_right(self, answers: Floats, labels: Floats) -> NDArray[np.bool_]:
        """Where the most probable class is the label."""
        predicted = self.decode(answers)
        return np.asarray(predicted == (labels if predicted.ndim == 1 else labels[:, None]))

    def measure(self, answers: Floats, labels: Floats) -> dict[str, float]:
        """Accuracy, F1 (of the second class at two classes, else macro), Matthews."""
        metrics = require("sklearn.metrics", "train")
        predicted = self.decode(answers)
        average = "binary" if answers.shape[1] == 2 else "macro"
        return {
            "accuracy": float((predicted == labels).mean()),
            "f1": float(metrics.f1_score(labels, predicted, average=average, zero_division=0.0)),
            # A constant correlates with nothing: 0. sklearn answers 0 as well, but warns.
            "matthews": float(metrics.matthews_corrcoef(labels, predicted))
            if len(np.union1d(labels, predicted)) > 1
            else 0.0,
        }

    def calibration_error(self, answers: Floats, labels: Floats) -> float | None:
        """Of the most probable class."""
        return bin_errors(answers.max(-1), self.find_right(answers, labels))
