"""Explain the decision about one text, depth by depth, beside the other policies and the oracles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.classifier import Classifier
from elbert.data import resolve_label, resolve_labels_multi
from elbert.errors import InputError
from elbert.evaluation import Outputs, collect
from elbert.evaluation.cost import flops
from elbert.evaluation.metrics import decided, right
from elbert.exits import Policy, Replay, Trace, policy
from elbert.explain.attention import attention as attention_of
from elbert.explain.attention import reader
from elbert.explain.explanation import ROUNDS, AtDepth, Cost, Explanation, Rival, timed
from elbert.explain.pieces import pieces
from elbert.explain.rule_tracks import finite, signal, tracks, why
from elbert.model import ModelConfig
from elbert.texts import Text, checked

NEVER = 0  # the depth of what no depth fulfils


def from_then_on(holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``[n, depths]``: where something holds at this depth and at all later ones."""
    return np.flip(np.logical_and.accumulate(np.flip(holds, 1), axis=1), 1)


def first(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``[n]``: the first depth at which something holds ``[n, depths]``; NEVER where it does nowhere."""
    return np.where(holds.any(1), holds.argmax(1) + 1, NEVER)


def steps(outputs: Outputs, looks: NDArray[Any] | None, config: ModelConfig) -> tuple[AtDepth, ...]:
    """What was said of the one text of ``outputs`` at each depth; ``looks [depths, tokens]`` is the attention."""
    trace = Trace.of(outputs.probabilities, multi_label=outputs.multi_label)
    signals = {name: finite(signal(trace, name).tolist()) for name in ("entropy", "confidence", "gap", "divergence")}
    since = same_since(decided(outputs.probabilities, outputs)[0].reshape(config.depths, -1))
    tokens = int(outputs.tokens[0])
    found = []
    for i, scores in enumerate(outputs.probabilities[0].tolist()):
        best = max(range(len(scores)), key=scores.__getitem__)
        said = [c for c, p in enumerate(scores) if p > 0.5] if outputs.multi_label else [best]
        found.append(
            AtDepth(
                depth=i + 1,
                scores=dict(zip(config.labels, scores, strict=True)),
                label=config.labels[best],
                score=scores[best],
                answer=tuple(config.labels[c] for c in said),
                since=since[i],
                entropy=signals["entropy"][i] or 0.0,
                confidence=signals["confidence"][i] or 0.0,
                gap=signals["gap"][i] or 0.0,
                divergence=signals["divergence"][i],
                flops=flops(config, tokens, i + 1),
                attention=None if looks is None else tuple(looks[i].tolist()),
            )
        )
    return tuple(found)


def same_since(answers: NDArray[Any]) -> list[int]:
    """``answers [depths, …]``: for each depth, that from which on the answer has been the same."""
    changed = np.flatnonzero((answers[1:] != answers[:-1]).any(-1)) + 2
    return [int(max((at for at in changed if at <= depth), default=1)) for depth in range(1, len(answers) + 1)]


POINT, RIVAL, ORACLE = "point", "rival", "oracle"
USUAL = (
    "entropy(0.1)",
    "entropy(0.3)",
    "confidence(0.9)",
    "gap(0.8)",
    "patience(3)",
    "patient_confidence(2, 0.3)",
    "divergence(2, 0.01)",
    "window(0.1, 6, agree)",
    "window(0.1, 6, trend)",
    "window(0.1, 6, stable)",
)


def rivals(outputs: Outputs, points: Mapping[str, Policy], label: NDArray[Any] | None) -> tuple[Rival, ...]:
    """The model's operating points, a usual few and the oracles, for the one text of ``outputs``.

    ``label [1]``, or for multi-label ``[1, classes]``, or None: then the oracle that needs it is absent.
    """
    said = outputs.probabilities
    replayed = Replay(said, multi_label=outputs.multi_label)
    correct = None if label is None else right(replace(outputs, labels=label))

    def rival(name: str, kind: str, depth: int, reason: str) -> Rival:
        if depth == NEVER:
            return Rival(name, kind, None, reason, None, None, None)
        here = said[0, depth - 1]
        best = int(here.argmax())
        told = None if correct is None else bool(correct[0, depth - 1])
        return Rival(name, kind, depth, reason, outputs.label_names[best], float(here[best]), told)

    def contestants() -> Iterator[tuple[str, str, Policy]]:
        yield from ((name, POINT, chosen) for name, chosen in points.items())
        yield from ((spec, RIVAL, policy(spec)) for spec in USUAL)

    found = [
        rival(name, kind, int(replayed.exits(chosen)[0]), replayed.reasons(chosen)[0])
        for name, kind, chosen in contestants()
    ]
    agrees = right(outputs.unlabelled())
    wishes = {"earliest as the last": agrees, "earliest settled": from_then_on(agrees)}
    if correct is not None:
        wishes = {"earliest correct": correct} | wishes
    return (*found, *(rival(name, ORACLE, int(first(holds)[0]), ORACLE) for name, holds in wishes.items()))


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
