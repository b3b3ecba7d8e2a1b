"""Explain the exit of one text: every depth, every rule, other policies and oracles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.evaluation import Outputs, collect
from elbert.evaluation.cost import count_flops
from elbert.evaluation.oracles import NEVER, first_depth, holds_from_here
from elbert.evaluation.outputs import run_to_full_depth
from elbert.exits import POLICIES, Policy
from elbert.exits.signals import SIGNALS
from elbert.explain.attention import compute_attention as attention_of
from elbert.explain.attention import pooled_tokens
from elbert.explain.depth_outputs import FORMS, DepthOutput
from elbert.explain.explanation import Cost, Explanation, Rival
from elbert.explain.pieces import split_pieces
from elbert.explain.rule_tracks import explain_exit, finite_or_none, read_signal, track_rules
from elbert.explain.wall_clock import ROUNDS, measure_wall_clock
from elbert.inference import Exits
from elbert.inference.token_predictions import trace_depths
from elbert.model import ModelConfig
from elbert.prediction import TokenTraceStep
from elbert.tokenization import Tokens
from elbert.tokenization.tokens import Text, check_text

POINT, RIVAL, ORACLE = "point", "rival", "oracle"


def explain(
    classifier: Classifier,
    text: Text,
    policy: str | Policy | None = None,
    label: str | int | Sequence[str | int] | None = None,
    *,
    attention: bool = True,
    rounds: int = ROUNDS,
) -> Explanation:
    """Explain why a text, or a pair ``(text, text_pair)``, exits at its depth (default policy: the classifier's own).

    Probabilities come from one run of the classifier at full depth. ``label`` is the true label, a name or an index
    (for a multi-label model a list of them, or text with ``;`` between them). ``attention`` is computed by the
    reference model in float32, which imports transformers. ``rounds`` is the number of timing rounds; 0 skips the
    timing.

    Raises:
        InputError: the text is empty, or the label does not fit the model.
        PolicyError: the policy cannot be parsed, or does not suit the model.
    """
    config, chosen = classifier.bundle.config, classifier.resolve_policy(policy)
    task = config.task
    text = check_text(text, 0)
    if not any(part.strip() for part in ((text,) if isinstance(text, str) else text)):
        raise InputError("the text is empty: expected a text to explain")
    truth = None if label is None else task.read_truth(label, config.labels)
    (tokens,) = classifier.tokeniser.encode([text])
    outputs = collect(classifier, [text], None)
    replayed = outputs.replay()
    depth, reason = int(replayed.exits(chosen)[0]), replayed.reasons(chosen)[0]
    rule_tracks = track_rules(chosen, replayed.trace)
    is_pooled = not task.per_token  # else the head reads every token, and no attention stands out
    weights = attention_of(classifier.bundle.folder, config, tokens) if attention and is_pooled else None
    words = [] if is_pooled else trace_words(classifier, str(text), tokens)
    steps = describe_depths(outputs, words, weights, config)
    points = {name: point.policy for name, point in classifier.bundle.text_points.items()}
    return Explanation(
        text=text if isinstance(text, str) else text[0],
        text_pair=None if isinstance(text, str) else text[1],
        model=classifier.bundle.folder.name,
        dtype=classifier.dtype,
        policy=str(chosen),
        point=next((name for name, point in points.items() if point == chosen), None),
        problem=config.problem,
        labels=config.labels,
        truth=None if truth is None else task.name_truth(truth, config.labels),
        tokens=split_pieces(text, tokens, classifier.bundle.folder, classifier.tokeniser.max_length),
        truncated=tokens.truncated,
        depth=depth,
        depths=config.depths,
        reason=reason,
        why=explain_exit(chosen, replayed.trace, depth, rule_tracks),
        steps=steps,
        rules=rule_tracks,
        rivals=replay_rivals(outputs, points, truth, steps, depth),
        reader=pooled_tokens(config) if is_pooled else "",
        cost=compute_cost(config, len(tokens.ids), depth, chosen),
        clock=measure_wall_clock(classifier, text, chosen, rounds) if rounds else None,
        unit=config.scale,
    )


def trace_words(classifier: Classifier, text: str, tokens: Tokens) -> list[TokenTraceStep]:
    """The tagged words of a text at every depth, from one run of a token classifier."""
    found = list[TokenTraceStep]()

    def add(exits: Exits) -> None:
        if exits.trace is not None:
            found.extend(trace_depths(exits.trace, text, tokens, classifier.bundle.config))

    def fail(row: int, error: Exception) -> None:
        raise error

    run_to_full_depth(classifier, [tokens], add, fail)
    return found


def describe_depths(
    outputs: Outputs, words: Sequence[TokenTraceStep], weights: NDArray[Any] | None, config: ModelConfig
) -> tuple[DepthOutput, ...]:
    """The output of each depth for the single text of ``outputs``; ``weights [depths, tokens]`` is the attention."""
    trace, form = outputs.replay().trace, FORMS[outputs.task.answer_kind]
    fitting = [name for name, signal in SIGNALS.items() if signal.needs == trace.content]
    signals = {name: finite_or_none(read_signal(trace, name).astype(float).tolist()) for name in fitting}
    shown = ("entropy", "confidence", "gap", "divergence", "change")
    empty = [None] * config.depths
    answers = outputs.task.decode(outputs.probabilities)[0]
    if words:  # those of saved outputs are of the words of data files
        answers = np.array([[word.tag for word in step.words] for step in words])
    since = stable_since(answers.reshape(config.depths, -1))
    tokens = int(outputs.tokens[0])
    found = []
    for i in range(config.depths):
        fields: dict[str, Any] = {name: signals.get(name, empty)[i] for name in shown}
        fields |= form.read(outputs, i, words)
        weight = None if weights is None else tuple(weights[i].tolist())
        flops = count_flops(config, tokens, i + 1)
        found.append(DepthOutput(depth=i + 1, since=since[i], flops=flops, attention=weight, **fields))
    return tuple(found)


def stable_since(answers: NDArray[Any]) -> list[int]:
    """For each depth of ``answers [depths, …]``, the depth since which the prediction has been the same."""
    changed = np.flatnonzero((answers[1:] != answers[:-1]).any(-1)) + 2
    return [int(max((at for at in changed if at <= depth), default=1)) for depth in range(1, len(answers) + 1)]


def replay_rivals(
    outputs: Outputs,
    points: Mapping[str, Policy],
    label: NDArray[Any] | None,
    steps: Sequence[DepthOutput],
    exit_depth: int,
) -> tuple[Rival, ...]:
    """Where operating points, common policies and oracles exit, for the single text of ``outputs``.

    ``label`` is ``[1]``, or ``[1, classes]`` for multi-label, or None: then the oracle that needs it is absent.
    """
    form = FORMS[outputs.task.answer_kind]
    replayed = outputs.replay()
    is_graded = outputs.task.is_graded
    correct = replace(outputs, labels=label).find_right() if is_graded and label is not None else None

    def rival(name: str, kind: str, depth: int, reason: str) -> Rival:
        if depth == NEVER:
            return Rival(name, kind, None, reason, None, None, None)
        is_right = None if correct is None else bool(correct[0, depth - 1])
        return Rival(name, kind, depth, reason, *form.name_rival(steps[exit_depth - 1], steps[depth - 1]), is_right)

    def candidates() -> Iterator[tuple[str, str, Policy]]:
        yield from ((name, POINT, chosen) for name, chosen in points.items())
        kinds = [kind for kind in POLICIES.values() if kind.fits(outputs.task.content)]
        yield from ((str(kind(*dials)), RIVAL, kind(*dials)) for kind in kinds for dials in kind.examples)

    found = [
        rival(name, kind, int(replayed.exits(chosen)[0]), replayed.reasons(chosen)[0])
        for name, kind, chosen in candidates()
    ]
    if not is_graded:
        return tuple(found)
    agrees = outputs.unlabelled().find_right()
    oracle_holds = {"earliest as the last": agrees, "earliest settled": holds_from_here(agrees)}
    if correct is not None:
        oracle_holds = {"earliest correct": correct} | oracle_holds
    return (*found, *(rival(name, ORACLE, int(first_depth(holds)[0]), ORACLE) for name, holds in oracle_holds.items()))


def compute_cost(config: ModelConfig, tokens: int, depth: int, policy: Policy) -> Cost:
    """The shares saved by an exit at ``depth``; a policy that reads no signal runs the exit head once."""
    spent = count_flops(config, tokens, depth, None if policy.signals else 1)
    full = count_flops(config, tokens, config.depths, 1)
    return Cost(1 - depth / config.depths, 1 - spent / full, spent, full)
