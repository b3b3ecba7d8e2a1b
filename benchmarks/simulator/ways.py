"""How others leave early, on the same clock: the batch waits for its slowest row, or shrinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from simulator.replica import Clock, Step, Text

Way = Callable[[Sequence[Text], Clock], float]


def shrinking(batch: Sequence[Text], clock: Clock) -> float:
    """FastBERT: rows that are done are taken out, their places stay empty."""
    seconds, started = 0.0, len(batch)
    for depth in range(1, max(text.depth for text in batch) + 1):
        rows = [text for text in batch if text.depth >= depth]
        seconds += clock.step(told(rows, started, [text for text in rows if text.depth == depth]), seconds)
        started = 0
    return seconds


def waiting(batch: Sequence[Text], clock: Clock) -> float:
    """PABEE: the whole batch goes on until its last row is done."""
    deepest = max(text.depth for text in batch)
    first, later = told(batch, len(batch), []), told(batch, 0, [])
    seconds = clock.step(first, 0.0)
    for _ in range(deepest - 1):
        seconds += clock.step(later, seconds)
    return seconds


def told(rows: Sequence[Text], started: int, left: Sequence[Text]) -> Step:
    """What a call of a batch has to do; only in its first one anybody starts."""
    tokens = sum(text.length for text in rows)
    return Step(
        rows=len(rows),
        tokens=tokens,
        squares=sum(text.length**2 for text in rows),
        started=started,
        started_tokens=tokens if started else 0,
        left=len(left),
        left_tokens=sum(text.length for text in left),
    )


def batches(texts: Sequence[Text], size: int) -> Iterator[Sequence[Text]]:
    """``size`` at a time, like with like in length."""
    order = sorted(texts, key=lambda text: -text.length)
    return (order[i : i + size] for i in range(0, len(order), size))


def in_batches(way: Way, texts: Sequence[Text], size: int, clock: Clock) -> float:
    """Seconds of all texts, batch by batch."""
    return sum(way(batch, clock) + clock.entry * len(batch) for batch in batches(texts, size))
