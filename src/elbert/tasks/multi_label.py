"""Multi-label classification: any number of labels for each text, each an answer of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require
from elbert._task_titles import MULTI_LABEL
from elbert.data import Form, LabelSet, resolve_labels_multi
from elbert.prediction import Prediction
from elbert.tasks.task import Activation, AnswerKind, Floats, Target, Task, bin_errors

if TYPE_CHECKING:
    from torch import Tensor


class MultiLabel(Task):
    """Labels are 0 and 1, ``[n, classes]``."""

    name: ClassVar[str] = "multi_label_classification"
    title: ClassVar[str] = MULTI_LABEL
    activation: ClassVar[Activation] = "sigmoid"
    answer_kind: ClassVar[AnswerKind] = "labels"
    multi_label: ClassVar[bool] = True

    def read_answer(self, prediction: Prediction) -> frozenset[str]:
        """The labels that are more probable than not."""
        return frozenset(label for label, score in prediction.scores.items() if score > 0.5)

    def losses(self, exit_logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Binary cross-entropy of every label."""
        from torch.nn import functional

        logits = exit_logits.float()
        target = labels.reshape(logits.shape[1:]).to(logits.dtype).expand_as(logits)
        return functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((1, 2))

    def distillation_losses(self, earlier: Tensor, last: Tensor, temperature: float) -> Tensor:
        """Binary cross-entropy with the last depth's probabilities, both at a temperature."""
        from torch.nn import functional

        soft = (last / temperature).sigmoid()
        loss = functional.binary_cross_entropy_with_logits(earlier / temperature, soft, reduction="none")
        return loss.mean((1, 2)) * temperature**2

    def score_depths(self, logits: Floats, labels: Floats) -> Floats:
        """The share of labels that are right."""
        return np.asarray(((logits > 0) == (labels[:, None] > 0.5)).mean(2))

    def read_label(self, label: object, known: LabelSet, form: Form | None) -> Target:
        """0 or 1 for each label."""
        return [float(x) for x in known.read_several(label, form)]

    def find_form(self, labels: Iterable[object], known: LabelSet) -> Form | None:
        """Whether lists are names, indices, or 0 and 1."""
        return known.find_form(labels)

    def read_truth(self, label: object, labels: Sequence[str]) -> NDArray[Any]:
        """0 and 1 for each label, ``[1, classes]``."""
        return np.array([resolve_labels_multi(label, labels)])

    def name_truth(self, truth: NDArray[Any], labels: Sequence[str]) -> tuple[str, ...]:
        """The labels that are 1."""
        return tuple(labels[int(index)] for index in np.flatnonzero(truth[0]))

    def are_labels(self, labels: Floats, n: int, classes: int) -> bool:
        """0 and 1 for each label."""
        return labels.shape == (n, classes) and bool(np.isin(labels, (0, 1)).all())

    def decode(self, answers: Floats) -> NDArray[Any]:
        """1 for labels more probable than one half."""
        return (answers > 0.5).astype(int)

    def find_right(self, answers: Floats, labels: Floats) -> NDArray[np.bool_]:
        """Where all labels are right."""
        predicted = self.decode(answers)
        return np.asarray((predicted == (labels if predicted.ndim == 2 else labels[:, None])).all(-1))

    def measure(self, answers: Floats, labels: Floats) -> dict[str, float]:
        """The share of texts with all labels right, and micro F1."""
        metrics = require("sklearn.metrics", "train")
        predicted = self.decode(answers)
        # Labels flattened: this is micro F1, and sklearn would read a matrix of one column as two classes.
        f1 = metrics.f1_score(labels.ravel(), predicted.ravel(), zero_division=0.0)
        return {"accuracy": float((predicted == labels).all(-1).mean()), "f1": float(f1)}

    def calibration_error(self, answers: Floats, labels: Floats) -> float | None:
        """Over all labels of all texts."""
        return bin_errors(np.maximum(answers, 1 - answers).ravel(), (self.decode(answers) == labels).ravel())
