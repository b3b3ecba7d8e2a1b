"""Survey: how the texts of a data set exit, easy and hard texts, confusions, and texts that overthink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.classifier import Classifier
from elbert.errors import DataError
from elbert.evaluation import Outputs, collect
from elbert.evaluation.cost import flops
from elbert.evaluation.metrics import decided, pearson, right
from elbert.evaluation.oracles import overthinking
from elbert.evaluation.report import counted
from elbert.exits import Policy, Replay, Trace
from elbert.explain.explainer import explainable, first, from_then_on
from elbert.explain.explanation import plain
from elbert.model.config import ModelConfig, Problem
from elbert.texts import Text

BINS = 8


@dataclass(frozen=True, slots=True)
class LengthBin:
    """Texts of ``shortest`` to ``longest`` tokens (both included): how many, and how deep they went on average.

    ``low`` and ``high`` are the quartiles of their depths.
    """

    shortest: int
    longest: int
    texts: int
    mean_depth: float
    low: float
    high: float


def length_bins(lengths: NDArray[np.int64], exits: NDArray[np.int64]) -> tuple[LengthBin, ...]:
    """Bins of about as many texts each; texts of one length share a bin. ``lengths, exits [n]``."""
    cuts = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    number = np.searchsorted(cuts, lengths, side="left")  # a length equal to a cut belongs below it
    return tuple(_bin(lengths[number == index], exits[number == index]) for index in np.unique(number))


def _bin(lengths: NDArray[np.int64], exits: NDArray[np.int64]) -> LengthBin:
    low, high = (float(np.quantile(exits, q)) for q in (0.25, 0.75))
    return LengthBin(int(lengths.min()), int(lengths.max()), len(lengths), float(exits.mean()), low, high)


def rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Spearman's correlation, ties at their mean rank; 0 where one side does not vary."""
    return pearson(_ranks(a), _ranks(b))


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.asarray(np.cumsum(count) - (count - 1) / 2, np.float64)
    return np.asarray(middle[place])


MOST_CLASSES = 8  # more, and a matrix says less than its largest entries
PAIRS = 10


@dataclass(frozen=True, slots=True)
class Confused:
    """``count`` texts of ``truth`` were answered ``said``; for multi-label one of the two is empty (missed, extra)."""

    truth: str
    said: str
    count: int


@dataclass(frozen=True)
class Confusion:
    """Per depth, and (last of each) where the texts left.

    matrices: ``[depths + 1][classes][classes]`` counts, row the truth, column what was said; None for multi-label
              models and more than :data:`MOST_CLASSES` classes
    pairs:    ``[depths + 1]`` lists of what was confused most often, most frequent first
    """

    matrices: tuple[tuple[tuple[int, ...], ...], ...] | None
    pairs: tuple[tuple[Confused, ...], ...]


def confusion(outputs: Outputs, exits: NDArray[np.int64]) -> Confusion:
    """Count, over labelled outputs and the depths (from 1) at which the texts left ``[n]``."""
    answers, names, truth = decided(outputs.probabilities, outputs), outputs.label_names, outputs.labels
    views = [*np.moveaxis(answers, 1, 0), answers[np.arange(len(outputs)), exits - 1]]
    if outputs.multi_label:
        return Confusion(None, tuple(_per_label(said, truth, names) for said in views))
    counts = [_matrix(said, truth, len(names)) for said in views]
    small = len(names) <= MOST_CLASSES
    return Confusion(
        matrices=tuple(tuple(map(tuple, c.tolist())) for c in counts) if small else None,
        pairs=tuple(_pairs(c, names) for c in counts),
    )


def _matrix(said: NDArray[Any], truth: NDArray[Any], classes: int) -> NDArray[np.int64]:
    return np.bincount(truth * classes + said, minlength=classes**2).reshape(classes, classes)


def _pairs(matrix: NDArray[np.int64], labels: tuple[str, ...]) -> tuple[Confused, ...]:
    wrong = matrix * (1 - np.eye(len(matrix), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return tuple(Confused(labels[t], labels[s], int(wrong[t, s])) for t, s in places if wrong[t, s])


def _per_label(said: NDArray[Any], truth: NDArray[Any], labels: tuple[str, ...]) -> tuple[Confused, ...]:
    missed, extra = ((truth == 1) & (said == 0)).sum(0), ((truth == 0) & (said == 1)).sum(0)
    found = [Confused(name, "", int(n)) for name, n in zip(labels, missed, strict=True)]
    found += [Confused("", name, int(n)) for name, n in zip(labels, extra, strict=True)]
    return tuple(sorted((c for c in found if c.count), key=lambda c: -c.count)[:PAIRS])


LISTED = 25
SHOWN = 500  # characters of a text: a page of them is to be read


@dataclass(frozen=True)
class Listed:
    """One text of a data set, by the ``line`` (from 1) where it stands.

    ``answer`` is where it left, ``last`` what the last depth says; ``settled`` is the depth from which the answer is
    the last one's. ``path [depths]`` is the probability of ``last`` at every depth (for multi-label: how settled the
    least settled label is). ``truth``, ``right`` and ``first_right`` need labels; the last is None too where no depth
    is right.
    """

    line: int
    text: str
    text_pair: str | None
    tokens: int
    depth: int
    reason: str
    settled: int
    answer: str
    score: float
    last: str
    path: tuple[float, ...]
    truth: str | None
    right: bool | None
    first_right: int | None


@dataclass(frozen=True)
class Picks:
    """At most :data:`LISTED` texts each, most telling first."""

    easiest: tuple[Listed, ...]
    hardest: tuple[Listed, ...]
    wrong: tuple[Listed, ...] | None
    overthought: tuple[Listed, ...] | None


def picks(
    texts: Sequence[Text],
    lines: Sequence[int],
    outputs: Outputs,
    exits: NDArray[np.int64],
    reasons: Sequence[str],
    settled: NDArray[np.int64],
    right: NDArray[np.bool_] | None,
) -> Picks:
    """Choose. ``right [n, depths]`` is None where there are no labels; exits, reasons and settled are ``[n]``.

    Easiest settle first, with the least entropy over the depths; hardest settle last, with the most. Wrong ones come
    surest first, by their entropy where they left; overthought ones by how early they were right.
    """
    n, said = np.arange(len(texts)), outputs.probabilities
    trace = Trace.of(said, multi_label=outputs.multi_label)
    entropy, confidence = (trace.window(name, outputs.depths) for name in ("entropy", "confidence"))
    path = confidence if outputs.multi_label else said[n, :, said[:, -1].argmax(-1)]

    def listed(i: int) -> Listed:
        text, here = texts[i], said[i, exits[i] - 1]
        ever = None if right is None else int(first(right[i : i + 1])[0])
        return Listed(
            line=int(lines[i]),
            text=_brief(text if isinstance(text, str) else text[0]),
            text_pair=None if isinstance(text, str) else _brief(text[1]),
            tokens=int(outputs.tokens[i]),
            depth=int(exits[i]),
            reason=reasons[i],
            settled=int(settled[i]),
            answer=named(here, outputs),
            score=float(here.max()),
            last=named(said[i, -1], outputs),
            path=tuple(path[i].tolist()),
            truth=None if right is None else true_name(outputs.labels[i], outputs),
            right=None if right is None else bool(right[i, exits[i] - 1]),
            first_right=ever or None,
        )

    def chosen(order: NDArray[Any], among: NDArray[np.bool_] | None = None) -> tuple[Listed, ...]:
        kept = order if among is None else order[among[order]]
        return tuple(listed(int(i)) for i in kept[:LISTED])

    doubt = entropy.mean(1)
    # The same texts stand at both ends of a small or easy data set; each end shows its own half.
    easy_half = np.lexsort((doubt, settled))[: (len(texts) + 1) // 2]
    hard_half = np.lexsort((-doubt, -settled))[: len(texts) // 2]
    if right is None:
        return Picks(chosen(easy_half), chosen(hard_half), None, None)
    wrong = ~right[n, exits - 1]
    overthought = right.any(1) & ~right[:, -1]
    return Picks(
        easiest=chosen(easy_half),
        hardest=chosen(hard_half),
        wrong=chosen(np.argsort(entropy[n, exits - 1], kind="stable"), wrong),
        overthought=chosen(np.lexsort((doubt, first(right))), overthought),
    )


def named(scores: NDArray[Any], outputs: Outputs) -> str:
    """The answer that probabilities ``[classes]`` stand for."""
    if outputs.multi_label:
        return _together(np.flatnonzero(scores > 0.5), outputs)
    return outputs.label_names[int(scores.argmax())]


def true_name(label: Any, outputs: Outputs) -> str:
    """The answer that a class index, or for multi-label ``[classes]`` 0/1, stands for."""
    return _together(np.flatnonzero(label), outputs) if outputs.multi_label else outputs.label_names[int(label)]


def _together(indices: NDArray[Any], outputs: Outputs) -> str:
    return ", ".join(outputs.label_names[i] for i in indices) or "none"


def _brief(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


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
