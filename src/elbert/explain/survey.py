"""Survey: how the texts of a data set exit, with easy, hard, wrong and overthought texts and confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.classifier import Classifier
from elbert.errors import DataError
from elbert.evaluation import Outputs, Targets, collect
from elbert.evaluation.cost import count_flops
from elbert.evaluation.oracles import overthinking_rate
from elbert.evaluation.report import count_values
from elbert.exits import Policy
from elbert.explain.depth_outputs import FORMS
from elbert.explain.explanation import to_plain
from elbert.explain.survey_texts import ListedText, find_settled, pick_texts
from elbert.model.config import ModelConfig
from elbert.tasks import TASKS
from elbert.tasks.regression import spearman
from elbert.tasks.spans import NO_TAG
from elbert.tokenization.tokens import Text, list_texts

BINS = 8  # of text lengths
MOST_CLASSES = 8  # with more classes, the list of pairs is easier to read than a matrix
PAIRS = 10  # most confused pairs per depth


@dataclass(frozen=True)
class Survey:
    """How a data set exits under one policy.

    Histograms are ``[depths]`` counts. ``settled`` counts the depths from which the prediction equals the last depth's;
    values differ from it by no more than :attr:`Task.tolerance`. ``score`` is the metric ``score_name`` of the task at
    the exits, ``score_by_depth`` of each depth for all texts. Without labels these are None: ``exits_right`` (right
    predictions among the exits of each depth), ``score``, ``score_by_depth``, ``overthinking``, ``confusion``,
    ``wrong``, ``overthought``. A token classifier's answer is right if all its spans are, and its confusions count
    words. Values are not right or wrong: of these, ``score`` and ``score_by_depth`` remain, and ``wrong`` are the texts
    with the largest errors. ``bounds`` are the least and the largest number that a path can have.
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
    score_name: str
    score: float | None
    score_by_depth: tuple[float, ...] | None
    exits_right: tuple[int, ...] | None
    overthinking: float | None
    confusion: Confusion | None
    lengths: tuple[LengthBin, ...]
    correlation: float
    bounds: tuple[float, float]
    easiest: tuple[ListedText, ...]
    hardest: tuple[ListedText, ...]
    wrong: tuple[ListedText, ...] | None
    overthought: tuple[ListedText, ...] | None

    @property
    def accuracy(self) -> float | None:
        """The score, where it is the share of right answers."""
        return self.score if self.score_name == "accuracy" else None

    @property
    def accuracy_by_depth(self) -> tuple[float, ...] | None:
        """The score of each depth, where it is the share of right answers."""
        return self.score_by_depth if self.score_name == "accuracy" else None

    @property
    def counted(self) -> str:
        """What confusions count."""
        return "words" if TASKS[self.problem].per_token else "texts"

    def list_texts(self) -> list[tuple[str, str, str]]:
        """The lists of texts that there are: the name of the field, a title, and what is in the list."""
        form = FORMS[TASKS[self.problem].answer_kind]
        share = "" if self.overthinking is None else f": {self.overthinking:.2%} of all"
        lists = [
            ("easiest", "Easiest", f"the first to settle, with the least {form.own_signal}"),
            ("hardest", "Hardest", f"the last to settle, with the most {form.own_signal}"),
            ("wrong", *form.wrong),
            ("overthought", "Overthought", f"right at some depth, wrong at the last{share}"),
        ]
        return [each for each in lists if getattr(self, each[0]) is not None]

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        values: dict[str, Any] = to_plain(asdict(self))
        accuracy = {"accuracy": self.accuracy, "accuracy_by_depth": to_plain(self.accuracy_by_depth)}
        return {"kind": "data", "answers": TASKS[self.problem].answer_kind, **accuracy, **values}


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
        InputError: a label is not valid.
        PolicyError: the policy cannot be parsed, or does not suit the model.
    """
    texts = list_texts(texts)
    config, chosen = classifier.bundle.config, classifier.resolve_policy(policy)
    if not texts:
        raise DataError(f"{source or 'the data'}: no texts to explain")
    outputs = collect(classifier, texts, labels) if outputs is None else outputs
    replayed = outputs.replay()
    exits, reasons = replayed.exits(chosen).astype(np.int64), replayed.reasons(chosen)
    task, settled = outputs.task, find_settled(outputs)
    correct = outputs.find_right() if labels is not None and task.is_exact else None
    exit_right = None if correct is None else correct[np.arange(len(texts)), exits - 1]
    answers = np.moveaxis(outputs.probabilities, 1, 0)
    is_labelled = labels is not None
    found = pick_texts(texts, lines or range(1, len(texts) + 1), outputs, exits, reasons, settled, correct, is_labelled)
    mean = float(exits.mean())
    return Survey(
        source=source,
        model=classifier.bundle.folder.name,
        dtype=classifier.dtype,
        policy=str(chosen),
        point=next((name for name, point in classifier.bundle.text_points.items() if point.policy == chosen), None),
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
        score_name=task.score_name,
        score=task.score(answers[exits - 1, np.arange(len(texts))], outputs.labels) if is_labelled else None,
        score_by_depth=tuple(task.score(answer, outputs.labels) for answer in answers) if is_labelled else None,
        exits_right=None if exit_right is None else count_by_depth(exits[exit_right], config.depths),
        overthinking=None if correct is None else overthinking_rate(outputs),
        confusion=None if correct is None else count_confusion(outputs, exits),
        lengths=bin_lengths(outputs.tokens, exits),
        correlation=spearman(outputs.tokens, exits),
        bounds=(0.0, 1.0) if task.is_exact else (float(answers.min()), float(answers.max())),
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


def _summarize_bin(lengths: NDArray[np.int64], exits: NDArray[np.int64]) -> LengthBin:
    low, high = (float(np.quantile(exits, q)) for q in (0.25, 0.75))
    return LengthBin(int(lengths.min()), int(lengths.max()), len(lengths), float(exits.mean()), low, high)


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """``count`` texts, or words of a token classifier, of ``truth`` with the ``prediction``.

    For multi-label one of the two is empty (missed, extra).
    """

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
    has_tags = (truth != NO_TAG) & (views[0] != NO_TAG)  # no class has this number, so that of texts all are counted
    counts = [_matrix(predicted[has_tags], truth[has_tags], len(names)) for predicted in views]
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
