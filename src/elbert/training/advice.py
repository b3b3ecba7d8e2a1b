"""Advice at the end of training: what its scores mean for early exit, and what to try."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elbert.tasks import Task

NEAR = 0.02  # from the score of the most frequent label, or two standard errors if that is more
FLAT = 0.005  # of the score at full depth: closer depths are as good
SHALLOW = 1 / 6  # of the depths: where one of these is as good, the others add nothing
SAVED = 0.1  # of the depths; a policy that saves less costs as much as it saves, because the exit head is read


def advise(metrics: Mapping[str, float], task: Task, labels: Sequence[Any], depths: int, rate: float) -> Iterator[str]:
    """Yield what to know before this model is used: one line each; none where training went well.

    ``metrics`` are those of the validation data, with its ``labels``; ``rate`` is the learning rate of the run.
    """
    scores = [metrics[f"eval_depth_{depth}"] for depth in range(1, depths + 1)]
    full = scores[-1]
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
    if task.is_graded and depths > 1:
        close = next(depth for depth, score in enumerate(scores, 1) if score >= full - FLAT)
        if close <= max(1, int(depths * SHALLOW)):
            yield (
                f"advice: depth {close} is as good as depth {depths} ({scores[close - 1]:.1%} and {full:.1%}): deeper "
                f'is not better here. --policy "depth({close})" is the fastest way to use this model; more epochs '
                "(--num_train_epochs) may make the last depths better"
            )
            return
    mean = metrics.get("eval_exit_depth")
    if mean is not None and mean > depths * (1 - SAVED):
        yield (
            f"advice: with the usual policies texts exit at depth {mean:.1f} of {depths} on average, so reading the "
            'exit head costs more time than exits save. Use --policy full or a fixed depth, such as "depth(6)"; '
            "training longer (--num_train_epochs) makes the model surer, and elbert calibrate finds thresholds that "
            "fit it"
        )


def find_majority(labels: Sequence[Any]) -> float:
    """Return the share of the most frequent label."""
    return max(Counter(int(label) for label in labels).values()) / len(labels)
