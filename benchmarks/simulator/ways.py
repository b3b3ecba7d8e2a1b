"""How others exit early, on the same clock: the batch waits for its slowest row, or shrinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from simulator.replica import Clock, Text, step_of

Way = Callable[[Sequence[Text], Clock], float]


def shrinking(batch: Sequence[Text], clock: Clock) -> float:
    """FastBERT: rows that are done are taken out, their places stay empty."""
    seconds = 0.0
    for depth in range(1, max(text.depth for text in batch) + 1):
        rows = [text for text in batch if text.depth >= depth]
        left = [text for text in rows if text.depth == depth]
        seconds += clock.step(step_of(rows, batch if depth == 1 else (), left), seconds)
    return seconds


def waiting(batch: Sequence[Text], clock: Clock) -> float:
    """PABEE: the whole batch goes on until its last row is done."""
    deepest = max(text.depth for text in batch)
    first, later = step_of(batch, batch, ()), step_of(batch, (), ())
    seconds = clock.step(first, 0.0)
    for _ in range(deepest - 1):
        seconds += clock.step(later, seconds)
    return seconds


def batches(texts: Sequence[Text], size: int) -> Iterator[Sequence[Text]]:
    """``size`` at a time, like with like in length."""
    order = sorted(texts, key=lambda text: -text.length)
    return (order[i : i + size] for i in range(0, len(order), size))


def in_batches(way: Way, texts: Sequence[Text], size: int, clock: Clock) -> float:
    """Seconds of all texts, batch by batch."""
    return sum(way(batch, clock) + clock.entry * len(batch) for batch in batches(texts, size))
