"""Does memory grow? A line through what a process holds, sampled while the same work repeats."""

import statistics

SETTLING = 0.4  # of the samples, at the beginning, do not count: caches fill, allocators learn


def growth(samples):
    """Bytes per sample that memory grows by: the median of the slopes between all pairs (Theil 1950, Sen 1968).

    A few jumps, such as an allocator that takes another arena, do not move the median of thousands of slopes; a leak,
    which is there in every sample, moves all of them.
    """
    steady = samples[int(SETTLING * len(samples)) :]
    return statistics.median((b - a) / (j - i) for i, a in enumerate(steady) for j, b in enumerate(steady) if j > i)
