"""How a whole data set leaves: exits, easy and hard texts, what is confused, and what is thought over too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from elbert.classifier import Classifier
from elbert.errors import DataError
from elbert.evaluation import collect
from elbert.evaluation.cost import flops
from elbert.evaluation.evaluate import counted
from elbert.evaluation.metrics import right
from elbert.evaluation.oracles import overthinking
from elbert.exits import Policy, Replay
from elbert.explaining.confusion import Confusion, confusion
from elbert.explaining.earliest import first, from_then_on
from elbert.explaining.explain import explainable
from elbert.explaining.explanation import plain
from elbert.explaining.lengths import LengthBin, length_bins, rank_correlation
from elbert.explaining.picks import Listed, picks
from elbert.model.config import ModelConfig, Problem
from elbert.text import Text


@dataclass(frozen=True)
class Survey:
    """A data set under one policy.

    Histograms are ``[depths]`` counts. ``settled`` is the depth from which a text's answer is the last depth's.
    What needs labels is None where there are none: ``exits_right`` (of each depth's exits, how many are right),
    ``accuracy``, ``accuracy_by_depth``, ``confusion``, ``wrong``, ``overthought``.
    ``n`` texts were looked at, of ``total``.
    """

    source: str
    model: str
    dtype: str
    policy: str
    point: str | None
    problem: Problem
    labels: tuple[str, ...]
    n: int
    total: int
    depths: int
    exits: tuple[int, ...]
    settled: tuple[int, ...]
    reasons: Mapping[str, int]
    mean_depth: float
    layer_speedup: float
    computation_saved: float
    accuracy: float | None
    accuracy_by_depth: tuple[float, ...] | None
    exits_right: tuple[int, ...] | None
    overthinking: float | None
    confusion: Confusion | None
    lengths: tuple[LengthBin, ...]
    correlation: float
    easiest: tuple[Listed, ...]
    hardest: tuple[Listed, ...]
    wrong: tuple[Listed, ...] | None
    overthought: tuple[Listed, ...] | None

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values that JSON can hold."""
        values: dict[str, Any] = plain(asdict(self))
        return {"kind": "data", **values}


def survey(
    classifier: Classifier,
    texts: Sequence[Text],
    labels: Sequence[Any] | None = None,
    policy: str | Policy | None = None,
    *,
    source: str = "",
    lines: Sequence[int] | None = None,
    total: int | None = None,
) -> Survey:
    """How texts leave under a policy (unsaid: the classifier's own), from one pass at full depth.

    ``labels`` are class indices, or for a multi-label model 0/1 per label; None where nobody knows. ``lines`` say
    where each text stands in ``source`` (unsaid: 1, 2, …), and ``total`` how many there are, where these are a sample.

    Raises:
        DataError: there are no texts.
        InputError: the model is a regression.
        PolicyError: the policy cannot be read or followed.
    """
    config, chosen = classifier.bundle.config, explainable(classifier, policy)
    if not texts:
        raise DataError(f"{source or 'the data'}: no texts to explain")
    outputs = collect(classifier, texts, labels)
    replayed = Replay(outputs.probabilities, multi_label=outputs.multi_label)
    exits, reasons = replayed.exits(chosen).astype(np.int64), replayed.reasons(chosen)
    settled = first(from_then_on(right(outputs.unlabelled())))
    correct = None if labels is None else right(outputs)
    left_right = None if correct is None else correct[np.arange(len(texts)), exits - 1]
    found = picks(texts, lines or range(1, len(texts) + 1), outputs, exits, reasons, settled, correct)
    mean = float(exits.mean())
    return Survey(
        source=source,
        model=classifier.bundle.folder.name,
        dtype=classifier.dtype,
        policy=str(chosen),
        point=next((name for name, point in classifier.bundle.points.items() if point.policy == chosen), None),
        problem=config.problem,
        labels=config.labels,
        n=len(texts),
        total=len(texts) if total is None else total,
        depths=config.depths,
        exits=by_depth(exits, config.depths),
        settled=by_depth(settled, config.depths),
        reasons=counted(reasons),
        mean_depth=mean,
        layer_speedup=config.depths / mean,
        computation_saved=computation_saved(outputs.tokens, exits, chosen, config),
        accuracy=None if left_right is None else float(left_right.mean()),
        accuracy_by_depth=None if correct is None else tuple(correct.mean(0).tolist()),
        exits_right=None if left_right is None else by_depth(exits[left_right], config.depths),
        overthinking=None if labels is None else overthinking(outputs),
        confusion=None if labels is None else confusion(outputs, exits),
        lengths=length_bins(outputs.tokens, exits),
        correlation=rank_correlation(outputs.tokens, exits),
        easiest=found.easiest,
        hardest=found.hardest,
        wrong=found.wrong,
        overthought=found.overthought,
    )


def by_depth(depth: Any, depths: int) -> tuple[int, ...]:
    """``[depths]``: how often each depth (from 1) is there."""
    return tuple(np.bincount(depth, minlength=depths + 1)[1:].tolist())


def computation_saved(tokens: Any, exits: Any, policy: Policy, config: ModelConfig) -> float:
    """The share of all products that was not needed, against full depth for every text; ``tokens, exits [n]``."""
    reads, lengths = None if policy.signals else 1, tokens.tolist()
    spent = sum(flops(config, length, depth, reads) for length, depth in zip(lengths, exits.tolist(), strict=True))
    return 1 - spent / sum(flops(config, length, config.depths, 1) for length in lengths)
