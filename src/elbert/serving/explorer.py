"""Data of the explorer page: the model, and labelled texts with the answers of every depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from elbert import __version__
from elbert.classifier import Classifier
from elbert.evaluation import Outputs
from elbert.exits.trace import read_entropy
from elbert.inference.documents import CUT
from elbert.tasks import AnswerKind
from elbert.tasks.spans import NO_TAG
from elbert.tokenization.tokens import Text

MAX_NUMBERS = 4_000_000  # probabilities, or tags, that a page can hold


@dataclass(frozen=True)
class Evaluation:
    """Labelled texts and their outputs at every depth.

    name: the file they came from; total: the number of texts in it, where ``texts`` is a random sample of them
    """

    texts: Sequence[Text]
    outputs: Outputs
    name: str = ""
    total: int | None = None


def describe_model(classifier: Classifier) -> dict[str, Any]:
    """Return ``/explorer/model.json``: the model, and its operating points with their measurements."""
    bundle, length = classifier.bundle, classifier.tokeniser.max_length
    return {
        "model": model_name(bundle.folder.parts),
        "labels": list(classifier.labels),
        "depths": classifier.depths,
        "answers": bundle.config.task.answer_kind,
        "multi_label": bundle.config.multi_label,
        "unit": bundle.config.scale,
        "default": str(classifier.policy),
        "points": {
            name: {
                "policy": str(point.policy),
                "measured": dict(point.measured),
                "certificate": None if point.certificate is None else point.certificate.to_dict(),
                # The page shows the depths of one row: a text that is cut.
                "mismatch": bundle.describe_mismatch(name, classifier.dtype, length, CUT),
            }
            for name, point in bundle.text_points.items()
        },
        "version": __version__,
    }


def model_name(parts: Sequence[str]) -> str:
    """Return the name of a model folder, or its hub id if the parts of its path are those of the hub's cache."""
    hub_ids = [part.removeprefix("models--").replace("--", "/") for part in parts if part.startswith("models--")]
    return hub_ids[-1] if hub_ids else parts[-1]


def describe_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """Return ``/explorer/evaluation.json``: the texts, their labels, and the answers of every depth."""
    outputs = evaluation.outputs
    return {
        "name": evaluation.name,
        "of": evaluation.total or len(outputs),
        "answers": outputs.task.answer_kind,
        "labels": list(outputs.label_names),
        "depths": outputs.depths,
        "texts": [text if isinstance(text, str) else list(text) for text in evaluation.texts],
        **ANSWERS[outputs.task.answer_kind](outputs),
    }


def describe_classes(outputs: Outputs) -> dict[str, Any]:
    """Probabilities ``[texts, depths, labels]``, and the entropy, so that the page decides exactly as Python does."""
    return {
        "label": outputs.labels.astype(int).tolist(),
        "probabilities": outputs.probabilities.tolist(),
        "entropy": read_entropy(outputs.probabilities, outputs.multi_label).tolist(),
    }


def describe_values(outputs: Outputs) -> dict[str, Any]:
    """Values ``[texts, depths, 1]``, and the difference up to which they count as the same."""
    return {
        "label": outputs.labels.tolist(),
        "probabilities": outputs.probabilities.tolist(),
        "unit": outputs.scale,
        "tolerance": outputs.task.tolerance * outputs.scale,
    }


def describe_tags(outputs: Outputs) -> dict[str, Any]:
    """Indices of tags ``[texts, depths, words]``, -1 of words without one, and signals ``[texts, depths]``."""
    words = (outputs.labels != NO_TAG).sum(1).tolist()
    return {
        "label": [row[:count].tolist() for row, count in zip(outputs.labels, words, strict=True)],
        "tags": [rows[:, :count].tolist() for rows, count in zip(outputs.probabilities, words, strict=True)],
        "signals": {name: values.tolist() for name, values in (outputs.signals or {}).items()},
    }


ANSWERS: dict[AnswerKind, Callable[[Outputs], dict[str, Any]]] = {
    "class": describe_classes,
    "labels": describe_classes,
    "value": describe_values,
    "tags": describe_tags,
}


def max_texts(classifier: Classifier, limit: int, labels: NDArray[Any]) -> int:
    """Return how many texts a page can hold: ``limit``, or fewer of many depths with many labels or words."""
    width = len(classifier.labels)
    if classifier.bundle.config.task.per_token:
        width = max(1, int((labels != NO_TAG).sum(1).mean()))
    return max(1, min(limit, MAX_NUMBERS // (classifier.depths * width)))
