"""The texts worth reading: the easiest, the hardest, the wrong ones, and those thought over too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.evaluation import Outputs
from elbert.exits import Trace
from elbert.explaining.earliest import first
from elbert.text import Text

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
