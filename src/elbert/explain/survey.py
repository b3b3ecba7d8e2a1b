"""Survey: how the texts of a data set exit, with easy, hard, wrong and overthought texts and confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.classifier import Classifier
from elbert.errors import DataError, InputError
from elbert.evaluation import Outputs, Targets, collect
from elbert.evaluation.cost import count_flops
from elbert.evaluation.oracles import first_depth, holds_from_here, overthinking_rate
from elbert.evaluation.report import count_values
from elbert.exits import Policy
from elbert.explain.explanation import to_plain
from elbert.model.config import ModelConfig
from elbert.tasks import Task
from elbert.tasks.regression import spearman
from elbert.tokenization.tokens import Text, list_texts

BINS = 8  # of text lengths
MOST_CLASSES = 8  # with more classes, the list of pairs is easier to read than a matrix
PAIRS = 10  # most confused pairs per depth
MOST_TEXTS = 25  # most texts in each list
MOST_CHARACTERS = 500  # most characters of a listed text


@dataclass(frozen=True)
class Survey:
    """How a data set exits under one policy.

    Histograms are ``[depths]`` counts. ``settled`` counts the depths from which the prediction equals the last depth's.
    Without labels these are None: ``exits_right`` (right predictions among the exits of each depth),
    ``accuracy``, ``accuracy_by_depth``, ``confusion``, ``wrong``, ``overthought``.
    ``n`` texts of ``total`` were used.
    """

    source: str
    model: str
    dtype: str
    policy: str
    point: str | None
    problem: str
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
    easiest: tuple[ListedText, ...]
    hardest: tuple[ListedText, ...]
    wrong: tuple[ListedText, ...] | None
    overthought: tuple[ListedText, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        values: dict[str, Any] = to_plain(asdict(self))
        return {"kind": "data", **values}


def survey(
    classifier: Classifier,
    texts: Sequence[Text],
    labels: Targets | Sequence[object] | None = None,
    policy: str | Policy | None = None,
    *,
    source: str = "",
    lines: Sequence[int] | None = None,
    total: int | None = None,
    outputs: Outputs | None = None,
) -> Survey:
    """Survey how texts exit under a policy (default: the classifier's own), from one run at full depth.

    ``labels`` are read as in a data file: names, indices, or for a multi-label model lists of them or 0/1 per label;
    None if unknown. ``lines`` are the line numbers of the texts in ``source`` (default: 1, 2, …); ``total`` is their
    number before sampling. ``outputs`` are those of the texts, if they were computed already.

    Raises:
        DataError: there are no texts.
        InputError: the answers of the model are not right or wrong, or a label is not valid.
        PolicyError: the policy cannot be parsed, or does not suit the model.
    """
    texts = list_texts(texts)
    config, chosen = classifier.bundle.config, classifier.resolve_policy(policy)
    check_surveyable(config.task)
    if not texts:
        raise DataError(f"{source or 'the data'}: no texts to explain")
    outputs = collect(classifier, texts, labels) if outputs is None else outputs
    replayed = outputs.replay()
    exits, reasons = replayed.exits(chosen).astype(np.int64), replayed.reasons(chosen)
    settled = first_depth(holds_from_here(outputs.unlabelled().find_right()))
    correct = None if labels is None else outputs.find_right()
    exit_right = None if correct is None else correct[np.arange(len(texts)), exits - 1]
    found = pick_texts(texts, lines or range(1, len(texts) + 1), outputs, exits, reasons, settled, correct)
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
        exits=count_by_depth(exits, config.depths),
        settled=count_by_depth(settled, config.depths),
        reasons=count_values(reasons),
        mean_depth=mean,
        layer_speedup=config.depths / mean,
        computation_saved=compute_savings(outputs.tokens, exits, chosen, config),
        accuracy=None if exit_right is None else float(exit_right.mean()),
        accuracy_by_depth=None if correct is None else tuple(correct.mean(0).tolist()),
        exits_right=None if exit_right is None else count_by_depth(exits[exit_right], config.depths),
        overthinking=None if labels is None else overthinking_rate(outputs),
        confusion=None if labels is None else count_confusion(outputs, exits),
        lengths=bin_lengths(outputs.tokens, exits),
        correlation=spearman(outputs.tokens, exits),
        easiest=found.easiest,
        hardest=found.hardest,
        wrong=found.wrong,
        overthought=found.overthought,
    )


def count_by_depth(depth: Any, depths: int) -> tuple[int, ...]:
    """``[depths]``: the number of texts at each depth (from 1)."""
    return tuple(np.bincount(depth, minlength=depths + 1)[1:].tolist())


def compute_savings(tokens: Any, exits: Any, policy: Policy, config: ModelConfig) -> float:
    """The share of operations saved against full depth for every text; ``tokens, exits [n]``."""
    reads, lengths = None if policy.signals else 1, tokens.tolist()
    spent = sum(
        count_flops(config, length, depth, reads) for length, depth in zip(lengths, exits.tolist(), strict=True)
    )
    return 1 - spent / sum(count_flops(config, length, config.depths, 1) for length in lengths)


@dataclass(frozen=True, slots=True)
class LengthBin:
    """Texts of ``shortest`` to ``longest`` tokens (inclusive): their number and mean exit depth.

    ``low`` and ``high`` are the quartiles of their exit depths.
    """

    shortest: int
    longest: int
    texts: int
    mean_depth: float
    low: float
    high: float


def bin_lengths(lengths: NDArray[np.int64], exits: NDArray[np.int64]) -> tuple[LengthBin, ...]:
    """Bins with about equally many texts; texts of one length share a bin. ``lengths, exits [n]``."""
    cuts = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    number = np.searchsorted(cuts, lengths, side="left")  # a length equal to a cut goes to the bin below it
    return tuple(_summarize_bin(lengths[number == index], exits[number == index]) for index in np.unique(number))


def check_surveyable(task: Task) -> None:
    """Check that answers can be right or wrong, which a survey counts.

    Raises:
        InputError: they cannot.
    """
    if not task.is_graded:
        raise InputError(
            f"a survey counts right and wrong answers, and {task.title} has none: "
            "evaluate the model on the data, or explain one text"
        )


def _summarize_bin(lengths: NDArray[np.int64], exits: NDArray[np.int64]) -> LengthBin:
    low, high = (float(np.quantile(exits, q)) for q in (0.25, 0.75))
    return LengthBin(int(lengths.min()), int(lengths.max()), len(lengths), float(exits.mean()), low, high)


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """``count`` texts of ``truth`` with the ``prediction``; for multi-label one of the two is empty (missed, extra)."""

    truth: str
    prediction: str
    count: int


@dataclass(frozen=True)
class Confusion:
    """Confusions of every depth, and as last entry those at the exit depths.

    matrices: ``[depths + 1][classes][classes]`` counts, row the true class, column the predicted one; None for
              multi-label models and more than :data:`MOST_CLASSES` classes
    pairs:    ``[depths + 1]`` lists of the most frequent confusions, most frequent first
    """

    matrices: tuple[tuple[tuple[int, ...], ...], ...] | None
    pairs: tuple[tuple[ConfusedPair, ...], ...]


def count_confusion(outputs: Outputs, exits: NDArray[np.int64]) -> Confusion:
    """Count confusions over labelled outputs; ``exits [n]`` are exit depths from 1."""
    answers, names, truth = outputs.task.decode(outputs.probabilities), outputs.label_names, outputs.labels
    views = [*np.moveaxis(answers, 1, 0), answers[np.arange(len(outputs)), exits - 1]]
    if outputs.multi_label:
        return Confusion(None, tuple(_per_label(predicted, truth, names) for predicted in views))
    counts = [_matrix(predicted, truth, len(names)) for predicted in views]
    small = len(names) <= MOST_CLASSES
    return Confusion(
        matrices=tuple(tuple(map(tuple, c.tolist())) for c in counts) if small else None,
        pairs=tuple(_pairs(c, names) for c in counts),
    )


def _matrix(predicted: NDArray[Any], truth: NDArray[Any], classes: int) -> NDArray[np.int64]:
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _pairs(matrix: NDArray[np.int64], labels: tuple[str, ...]) -> tuple[ConfusedPair, ...]:
    wrong = matrix * (1 - np.eye(len(matrix), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return tuple(ConfusedPair(labels[t], labels[s], int(wrong[t, s])) for t, s in places if wrong[t, s])


def _per_label(predicted: NDArray[Any], truth: NDArray[Any], labels: tuple[str, ...]) -> tuple[ConfusedPair, ...]:
    missed, extra = ((truth == 1) & (predicted == 0)).sum(0), ((truth == 0) & (predicted == 1)).sum(0)
    found = [ConfusedPair(name, "", int(n)) for name, n in zip(labels, missed, strict=True)]
    found += [ConfusedPair("", name, int(n)) for name, n in zip(labels, extra, strict=True)]
    return tuple(sorted((c for c in found if c.count), key=lambda c: -c.count)[:PAIRS])


@dataclass(frozen=True)
class ListedText:
    """One text of a data set, at ``line`` (from 1).

    ``answer`` is the prediction at the exit, ``last`` that of the last depth; from depth ``settled`` on, the prediction
    equals ``last``. ``path [depths]`` is the probability of ``last`` at every depth (multi-label: the confidence of the
    least confident label). ``truth``, ``right`` and ``first_right`` need labels; ``first_right`` is also None if no
    depth is right.
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
class PickedTexts:
    """At most :data:`MOST_TEXTS` texts each, most extreme first."""

    easiest: tuple[ListedText, ...]
    hardest: tuple[ListedText, ...]
    wrong: tuple[ListedText, ...] | None
    overthought: tuple[ListedText, ...] | None


def pick_texts(
    texts: Sequence[Text],
    lines: Sequence[int],
    outputs: Outputs,
    exits: NDArray[np.int64],
    reasons: Sequence[str],
    settled: NDArray[np.int64],
    right: NDArray[np.bool_] | None,
) -> PickedTexts:
    """Choose the listed texts; ``right [n, depths]`` is None without labels, exits, reasons and settled are ``[n]``.

    Easiest: earliest settled, then least mean entropy. Hardest: latest settled, then most mean entropy. Wrong: lowest
    entropy at the exit first. Overthought: earliest right first.
    """
    n, predicted = np.arange(len(texts)), outputs.probabilities
    trace = outputs.replay().trace
    entropy, confidence = (trace.window(name, outputs.depths) for name in ("entropy", "confidence"))
    path = confidence if outputs.multi_label else predicted[n, :, predicted[:, -1].argmax(-1)]

    def listed(i: int) -> ListedText:
        text, here = texts[i], predicted[i, exits[i] - 1]
        ever = None if right is None else int(first_depth(right[i : i + 1])[0])
        return ListedText(
            line=int(lines[i]),
            text=_shorten(text if isinstance(text, str) else text[0]),
            text_pair=None if isinstance(text, str) else _shorten(text[1]),
            tokens=int(outputs.tokens[i]),
            depth=int(exits[i]),
            reason=reasons[i],
            settled=int(settled[i]),
            answer=decode_answer(here, outputs),
            score=float(here.max()),
            last=decode_answer(predicted[i, -1], outputs),
            path=tuple(path[i].tolist()),
            truth=None if right is None else decode_truth(outputs.labels[i], outputs),
            right=None if right is None else bool(right[i, exits[i] - 1]),
            first_right=ever or None,
        )

    def chosen(order: NDArray[Any], among: NDArray[np.bool_] | None = None) -> tuple[ListedText, ...]:
        kept = order if among is None else order[among[order]]
        return tuple(listed(int(i)) for i in kept[:MOST_TEXTS])

    doubt = entropy.mean(1)
    # In a small data set the lists would overlap; each shows its own half.
    easy_half = np.lexsort((doubt, settled))[: (len(texts) + 1) // 2]
    hard_half = np.lexsort((-doubt, -settled))[: len(texts) // 2]
    if right is None:
        return PickedTexts(chosen(easy_half), chosen(hard_half), None, None)
    wrong = ~right[n, exits - 1]
    overthought = right.any(1) & ~right[:, -1]
    return PickedTexts(
        easiest=chosen(easy_half),
        hardest=chosen(hard_half),
        wrong=chosen(np.argsort(entropy[n, exits - 1], kind="stable"), wrong),
        overthought=chosen(np.lexsort((doubt, first_depth(right))), overthought),
    )


def decode_answer(scores: NDArray[Any], outputs: Outputs) -> str:
    """The name of the prediction of probabilities ``[classes]``."""
    if outputs.multi_label:
        return _join_labels(np.flatnonzero(scores > 0.5), outputs)
    return outputs.label_names[int(scores.argmax())]


def decode_truth(label: Any, outputs: Outputs) -> str:
    """The name of a label: a class index, or ``[classes]`` 0/1 for multi-label."""
    return _join_labels(np.flatnonzero(label), outputs) if outputs.multi_label else outputs.label_names[int(label)]


def _join_labels(indices: NDArray[Any], outputs: Outputs) -> str:
    return ", ".join(outputs.label_names[i] for i in indices) or "none"


def _shorten(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
