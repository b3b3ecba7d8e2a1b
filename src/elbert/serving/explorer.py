"""Data of the explorer page: the model, and labelled texts with the probabilities of every depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from elbert import __version__
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.evaluation import Outputs
from elbert.exits.trace import read_entropy
from elbert.inference.documents import CUT
from elbert.tasks import Task
from elbert.tokenization.tokens import Text

MAX_NUMBERS = 4_000_000  # probabilities that a page can hold


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
    """Return ``/explorer/evaluation.json``: the texts, their labels, and probabilities ``[texts, depths, labels]``."""
    outputs = evaluation.outputs
    return {
        "name": evaluation.name,
        "of": evaluation.total or len(outputs),
        "labels": list(outputs.label_names),
        "depths": outputs.depths,
        "multi_label": outputs.multi_label,
        "texts": [text if isinstance(text, str) else list(text) for text in evaluation.texts],
        "label": outputs.labels.astype(int).tolist(),
        "probabilities": outputs.probabilities.tolist(),
        # By numpy: the page then decides exactly as Python does.
        "entropy": read_entropy(outputs.probabilities, outputs.multi_label).tolist(),
    }


def check_comparable(task: Task) -> None:
    """Check that policies can be compared on labelled texts in the page.

    Raises:
        InputError: the answers of the task are not right or wrong.
    """
    if not task.is_graded:
        raise InputError(
            f"the page counts right and wrong answers of labelled texts, and {task.title} has none: "
            "leave --data out, and compare policies with elbert compare"
        )


def max_texts(classifier: Classifier, limit: int) -> int:
    """Return how many texts a page can hold: ``limit``, or fewer where a model has many depths and labels."""
    return max(1, min(limit, MAX_NUMBERS // (classifier.depths * len(classifier.labels))))
