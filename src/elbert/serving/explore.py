"""The explorer's server: one page, one model, one person on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elbert import __version__
from elbert._optional import require
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.evaluation import Outputs
from elbert.exits.signals import entropy, questions
from elbert.texts import Text
from elbert.web import page

if TYPE_CHECKING:
    from starlette.applications import Starlette


MOST_NUMBERS = 4_000_000  # probabilities that a page is made to hold


@dataclass(frozen=True)
class Evaluation:
    """Labelled texts and what every depth said about them.

    ``name`` is where they came from; ``of`` is how many there were, where these are some of them.
    """

    texts: Sequence[Text]
    outputs: Outputs
    name: str = ""
    of: int | None = None


def app(classifier: Classifier, evaluation: Evaluation | None = None) -> Starlette:
    """The application: ``/``, ``/v1/classify``, ``/explorer/model.json``, ``/explorer/evaluation.json``.

    Raises:
        InputError: the model predicts a number, which has no exits.
        MissingExtra: the packages of a server are not installed.
    """
    require("orjson", "serve")
    require("starlette", "serve")
    if classifier.bundle.config.problem == "regression":
        raise InputError("this model predicts a number (problem_type 'regression'): it has no exits to explore")
    from elbert.serving.explore_routes import application

    table = None if evaluation is None else measured(evaluation)
    told = about(classifier) | {"evaluation": table is not None}  # a page need not ask for what is not there
    return application(classifier, page("explorer.html"), told, table)


def about(classifier: Classifier) -> dict[str, Any]:
    """``/explorer/model.json``: the model, and its operating points with what was measured of them."""
    bundle = classifier.bundle
    return {
        "model": name_of(bundle.folder.parts),
        "labels": list(classifier.labels),
        "depths": classifier.depths,
        "multi_label": bundle.config.multi_label,
        "default": str(classifier.policy),
        "points": {
            name: {
                "policy": str(point.policy),
                "measured": dict(point.measured),
                "certified": point.certificate is not None,
            }
            for name, point in bundle.points.items()
        },
        "version": __version__,
    }


def name_of(parts: Sequence[str]) -> str:
    """What people call a model folder: its own name, or the hub id where the hub's cache keeps it."""
    fetched = [part.removeprefix("models--").replace("--", "/") for part in parts if part.startswith("models--")]
    return fetched[-1] if fetched else parts[-1]


def measured(evaluation: Evaluation) -> dict[str, Any]:
    """``/explorer/evaluation.json``: the texts, their labels, and what every depth said about them."""
    outputs = evaluation.outputs
    asked = questions(outputs.probabilities, outputs.multi_label)
    return {
        "name": evaluation.name,
        "of": evaluation.of or len(outputs),
        "labels": list(outputs.label_names),
        "depths": outputs.depths,
        "multi_label": outputs.multi_label,
        "texts": [text if isinstance(text, str) else list(text) for text in evaluation.texts],
        "label": outputs.labels.astype(int).tolist(),
        "said": outputs.probabilities,
        "entropy": entropy(asked, asked),  # numpy's own: the page then decides as Python does, to the last bit
    }


def most_texts(classifier: Classifier, at_most: int) -> int:
    """How many texts a page is given: ``at_most``, or fewer where a model has many depths and labels."""
    return max(1, min(at_most, MOST_NUMBERS // (classifier.depths * len(classifier.labels))))
