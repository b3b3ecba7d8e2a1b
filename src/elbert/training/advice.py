"""Advice at the end of training: what its scores mean for early exit, and what to try."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from elbert._optional import require
from elbert.exits import FULL, fixed_depth
from elbert.tasks import Task
from elbert.training.defaults import MAX_RATE

NEAR = 0.02  # a difference that validation data shows; of the most frequent label two standard errors, if that is more
FLAT = 0.005  # of the score at full depth: closer depths are as good
SHALLOW = 1 / 6  # of the depths: where one of these is as good, the others add nothing
SAVED = 0.1  # of the depths; a policy that saves less costs as much as it saves, because the exit head is read


MOST_ROWS = 20_000  # of training data for the linear classifier, which takes seconds up to here


def advise(
    metrics: Mapping[str, float],
    task: Task,
    labels: Sequence[Any],
    depths: int,
    rate: float,
    linear: float | None = None,
) -> Iterator[str]:
    """Yield what to know before this model is used: one line each; none where training went well.

    ``metrics`` are those of the validation data, with its ``labels``; ``rate`` is the learning rate of the run, and
    ``linear`` the accuracy of :func:`score_linear`.
    """
    scores = [metrics[f"eval_depth_{depth}"] for depth in range(1, depths + 1)]
    full = scores[-1]
    tried = f"more weight of the last depth (--weighting), --learning_rate {find_other_rate(rate):.1g}"
    majority = None if task.multi_label or task.per_token or not task.is_graded else find_majority(labels)
    if majority is not None:
        error = math.sqrt(majority * (1 - majority) / len(labels))
        if full <= majority + max(NEAR, 2 * error):
            yield (
                f"advice: full depth is right for {full:.1%}, and always the most frequent label for {majority:.1%}: "
                f"the model has learned little. Try more epochs (--num_train_epochs), --learning_rate {2 * rate:.1g} "
                f"or {rate / 2:.1g}, or more labelled texts; with few texts, TF-IDF with a linear SVM can be better"
            )
            return
    if linear is not None and linear > full + NEAR:
        yield (
            f"advice: TF-IDF with a linear SVM is right for {linear:.1%} of the validation texts, this model for "
            f"{full:.1%}: with so few texts for {len(set(map(int, labels)))} labels it is the better choice here. "
            f"Try another model to start from, {tried}, --pooling mean, or more labelled texts"
        )
        return
    if task.is_graded and depths > 1:
        best = scores.index(max(scores)) + 1
        if scores[best - 1] > full + NEAR:
            yield (
                f"advice: depth {best} is right for {scores[best - 1]:.1%}, depth {depths} for {full:.1%}: deeper is "
                f'worse. --policy "{fixed_depth(best)}" uses that depth, elbert calibrate finds others; another model '
                f"to start from, {tried} may improve the last depths"
            )
            return
        close = next(depth for depth, score in enumerate(scores, 1) if score >= full - FLAT)
        if close <= max(1, int(depths * SHALLOW)):
            yield (
                f"advice: depth {close} is as good as depth {depths} ({scores[close - 1]:.1%} and {full:.1%}): deeper "
                f'is not better here. --policy "{fixed_depth(close)}" is the fastest way to use this model; more '
                "epochs (--num_train_epochs) may improve the last depths"
            )
            return
    mean = metrics.get("eval_exit_depth")
    if mean is not None and mean > depths * (1 - SAVED):
        yield (
            f"advice: with the usual policies texts exit at depth {mean:.1f} of {depths} on average, so reading the "
            f"exit head costs more time than exits save. Use --policy {FULL} or a fixed depth, such as "
            f'"{fixed_depth(max(1, depths // 2))}"; '
            "training longer (--num_train_epochs) makes the model surer, and elbert calibrate finds thresholds that "
            "fit it"
        )


def find_other_rate(rate: float) -> float:
    """Return the rate to try next: three times this one, which helped most on few rows, unless models diverge there.

    The figures are in docs/benchmarks/training-defaults.md.
    """
    return 3 * rate if 3 * rate < 1.1 * MAX_RATE else rate / 3


def advise_length(history: Sequence[Mapping[str, float]], task: Task, epochs: float) -> Iterator[str]:
    """Yield a line where the model still became better at the end; ``history`` are the evaluations in order.

    The mean over depths is compared, which depends less on chance than the score of one depth.
    """
    if len(history) < 2:
        return
    before, last = (each["eval_area"] for each in history[-2:])
    if last - before <= NEAR * (1 if task.is_exact else abs(before)):
        return
    change = (
        f"score over depths still rose, from {before:.1%} to {last:.1%}"
        if task.is_exact
        else f"squared error over depths still fell, from {-before:.3g} to {-last:.3g}"
    )
    yield f"advice: at the last evaluation the mean {change}: train longer (--num_train_epochs {2 * epochs:g})"


def score_linear(
    train: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]], task: Task
) -> float | None:
    """Return the accuracy of TF-IDF of tokens and pairs of tokens with a linear SVM, the bar of a transformer.

    None for tasks other than single-label, for large data, and without scikit-learn.
    """
    if task.per_token or not task.takes_smoothing or len(train) > MOST_ROWS or find_spec("sklearn") is None:
        return None
    text, svm = require("sklearn.feature_extraction.text", "train"), require("sklearn.svm", "train")
    known, truth = ([int(row["labels"]) for row in rows] for rows in (train, validation))
    if len(set(known)) < 2:
        return None
    table = text.TfidfVectorizer(analyzer=list_tokens)
    linear = svm.LinearSVC(C=0.5, random_state=0).fit(table.fit_transform(train), known)
    return float(linear.score(table.transform(validation), truth))


def list_tokens(row: Mapping[str, Any]) -> list[str]:
    """Return the tokens and pairs of tokens of a row, as words."""
    tokens = [str(token) for token in row["input_ids"]]
    return tokens + [f"{one} {other}" for one, other in zip(tokens, tokens[1:], strict=False)]


def find_majority(labels: Sequence[Any]) -> float:
    """Return the share of the most frequent label."""
    return max(Counter(int(label) for label in labels).values()) / len(labels)
