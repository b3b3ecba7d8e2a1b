"""The texts that a survey lists: the easiest and hardest to settle, and those with wrong or overthought answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.evaluation import Outputs
from elbert.evaluation.oracles import first_depth, holds_from_here
from elbert.explain.depth_outputs import FORMS
from elbert.tokenization.tokens import Text

MOST_TEXTS = 25  # most texts in each list
MOST_CHARACTERS = 500  # most characters of a listed text


@dataclass(frozen=True)
class ListedText:
    """One text of a data set, at ``line`` (from 1).

    ``answer`` is the prediction at the exit, ``last`` that of the last depth; from depth ``settled`` on, the prediction
    equals ``last``. ``path [depths]`` is the probability of ``last`` at every depth (of several labels, or of tags, the
    confidence of the least confident one; of values the value). ``truth``, ``right`` and ``first_right`` need labels;
    ``first_right`` is also None if no depth is right, and both are None for values.
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


def find_settled(outputs: Outputs) -> NDArray[np.int64]:
    """``[n]``: the depth from which each answer is that of the last depth, values within the task's tolerance."""
    last, task = outputs.probabilities[:, -1:], outputs.task
    return first_depth(holds_from_here(~task.differ(outputs.probabilities, last, task.tolerance * outputs.scale)))


def pick_texts(
    texts: Sequence[Text],
    lines: Sequence[int],
    outputs: Outputs,
    exits: NDArray[np.int64],
    reasons: Sequence[str],
    settled: NDArray[np.int64],
    right: NDArray[np.bool_] | None,
    is_labelled: bool,
) -> PickedTexts:
    """Choose the listed texts; exits, reasons and settled are ``[n]``.

    ``right [n, depths]`` is None without labels, and for values. Easiest: earliest settled, then least doubt, the mean
    entropy, or of values the mean change. Hardest: latest settled, then most doubt. Wrong: lowest entropy at the exit
    first, or of values the largest error at the exit. Overthought: earliest right first.
    """
    n, task, form = np.arange(len(texts)), outputs.task, FORMS[outputs.task.answer_kind]
    trace, decoded = outputs.replay().trace, task.decode(outputs.probabilities)
    doubt = trace.window(form.own_signal, outputs.depths)
    doubt = np.where(np.isfinite(doubt), doubt, 0.0)  # a change is infinite at the first depth
    path = form.follow(outputs, trace)

    def listed(i: int) -> ListedText:
        text = texts[i]
        ever = None if right is None else int(first_depth(right[i : i + 1])[0])
        return ListedText(
            line=int(lines[i]),
            text=_shorten(text if isinstance(text, str) else text[0]),
            text_pair=None if isinstance(text, str) else _shorten(text[1]),
            tokens=int(outputs.tokens[i]),
            depth=int(exits[i]),
            reason=reasons[i],
            settled=int(settled[i]),
            answer=form.write_decoded(decoded[i, exits[i] - 1], outputs, text),
            score=form.score_listed(outputs.probabilities[i, exits[i] - 1], float(path[i, exits[i] - 1])),
            last=form.write_decoded(decoded[i, -1], outputs, text),
            path=tuple(path[i].tolist()),
            truth=form.write_decoded(outputs.labels[i], outputs, text) if is_labelled else None,
            right=None if right is None else bool(right[i, exits[i] - 1]),
            first_right=ever or None,
        )

    def chosen(order: NDArray[Any], among: NDArray[np.bool_] | None = None) -> tuple[ListedText, ...]:
        kept = order if among is None else order[among[order]]
        return tuple(listed(int(i)) for i in kept[:MOST_TEXTS])

    mean = doubt.mean(1)
    # In a small data set the lists would overlap; each shows its own half.
    easy_half = np.lexsort((mean, settled))[: (len(texts) + 1) // 2]
    hard_half = np.lexsort((-mean, -settled))[: len(texts) // 2]
    wrong = overthought = None
    if right is not None:
        wrong = chosen(np.argsort(doubt[n, exits - 1], kind="stable"), ~right[n, exits - 1])
        overthought = chosen(np.lexsort((mean, first_depth(right))), right.any(1) & ~right[:, -1])
    elif is_labelled:
        error = np.abs(decoded[n, exits - 1] - outputs.labels)
        wrong = chosen(np.argsort(-error, kind="stable"), error > 0)
    return PickedTexts(chosen(easy_half), chosen(hard_half), wrong, overthought)


def _shorten(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
