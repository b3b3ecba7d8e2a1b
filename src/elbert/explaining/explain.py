"""The decision about one text, depth by depth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.evaluation import collect
from elbert.evaluation.cost import flops
from elbert.exits import Policy, Replay, Trace
from elbert.explaining.attention import attention as attention_of
from elbert.explaining.attention import reader
from elbert.explaining.clock import ROUNDS, timed
from elbert.explaining.explanation import Cost, Explanation
from elbert.explaining.pieces import pieces
from elbert.explaining.rivals import rivals
from elbert.explaining.rules import tracks
from elbert.explaining.steps import steps
from elbert.explaining.why import why
from elbert.model import ModelConfig
from elbert.text import Text, resolve_label, resolve_labels_multi
from elbert.text.given import checked


def explain(
    classifier: Classifier,
    text: Text,
    policy: str | Policy | None = None,
    label: str | int | None = None,
    *,
    attention: bool = True,
    rounds: int = ROUNDS,
) -> Explanation:
    """Why a text, or a pair ``(text, text_pair)``, leaves where it does under a policy (unsaid: the classifier's own).

    Probabilities are those of the running classifier, taken once at full depth. ``label``, a name or an index (for a
    multi-label model several, between ``;``), is what the text should be answered with. ``attention`` comes from the
    reference model in float32, and needs the time of importing transformers. ``rounds`` are those of the timing; 0 is
    none.

    Raises:
        InputError: the model is a regression, the text is empty, or the label is none of the model's.
        PolicyError: the policy cannot be read or followed.
    """
    config, chosen = classifier.bundle.config, explainable(classifier, policy)
    text = checked(text, 0)
    if not any(part.strip() for part in ((text,) if isinstance(text, str) else text)):
        raise InputError("the text is empty: there is nothing to explain; give a text")
    truth = None if label is None else target_of(label, config)
    (tokens,) = classifier.tokeniser.encode([text])
    outputs = collect(classifier, [text], None)
    replayed = Replay(outputs.probabilities, multi_label=config.multi_label)
    depth, reason = int(replayed.exits(chosen)[0]), replayed.reasons(chosen)[0]
    watched = tracks(chosen, Trace.of(outputs.probabilities, multi_label=config.multi_label))
    looks = attention_of(classifier.bundle.folder, config, tokens) if attention else None
    points = {name: point.policy for name, point in classifier.bundle.points.items()}
    return Explanation(
        text=text if isinstance(text, str) else text[0],
        text_pair=None if isinstance(text, str) else text[1],
        model=classifier.bundle.folder.name,
        dtype=classifier.dtype,
        policy=str(chosen),
        point=next((name for name, point in points.items() if point == chosen), None),
        problem=config.problem,
        labels=config.labels,
        truth=None if truth is None else names_of(truth, config),
        tokens=pieces(text, tokens, classifier.bundle.folder, classifier.tokeniser.max_length),
        truncated=tokens.truncated,
        depth=depth,
        depths=config.depths,
        reason=reason,
        why=why(chosen, depth, config.depths, reason, watched),
        steps=steps(outputs, looks, config),
        rules=watched,
        rivals=rivals(outputs, points, truth),
        reader=reader(config),
        cost=cost(config, len(tokens.ids), depth, chosen),
        clock=timed(classifier, text, chosen, rounds) if rounds else None,
    )


def explainable(classifier: Classifier, policy: str | Policy | None) -> Policy:
    """The policy, if this model's exits mean something.

    Raises:
        InputError: the model is a regression.
        PolicyError: the policy cannot be read or followed.
    """
    if classifier.bundle.config.problem == "regression":
        raise InputError(
            "this model predicts a number (problem_type 'regression') and always runs at full depth: it has no exit "
            "to explain; give a model that classifies"
        )
    return classifier.usable(policy)


def cost(config: ModelConfig, tokens: int, depth: int, policy: Policy) -> Cost:
    """Shares saved by leaving at ``depth``; a policy that reads no signal reads the head once."""
    spent = flops(config, tokens, depth, None if policy.signals else 1)
    full = flops(config, tokens, config.depths, 1)
    return Cost(1 - depth / config.depths, 1 - spent / full, spent, full)


def target_of(label: str | int, config: ModelConfig) -> NDArray[Any]:
    """``[1]`` the class, or for multi-label ``[1, classes]`` 0/1.

    Raises:
        InputError: the label is none of the model's.
    """
    if config.multi_label:
        return np.array([resolve_labels_multi(label, config.labels)])
    return np.array([resolve_label(label, config.labels)])


def names_of(target: NDArray[Any], config: ModelConfig) -> tuple[str, ...]:
    """The names that a target stands for."""
    chosen = np.flatnonzero(target[0]) if config.multi_label else target
    return tuple(config.labels[int(i)] for i in chosen)
