"""Open-loop load on a fake clock: deadlines are kept at any rate, depth gives way first, and refusals come last."""

import pytest
from troubled import COUNT, Parts

from elbert.serving.errors import Overloaded

DEADLINE, LAYER = 10.0, 1.0  # seconds; a call takes 4 texts a layer deeper
AT_FULL_DEPTH = 4 / 6  # texts per second


def load(rate, requests):
    """Texts that come ``rate`` times as fast as can be served at full depth: answers by lateness, and refusals."""
    parts = Parts(max_texts=500, max_layer_tokens=10**6)
    parts.backend.duration = LAYER
    parts.run_once()
    parts.clock.now = 0.0
    found, rejected = [], 0
    due = [i / (rate * AT_FULL_DEPTH) for i in range(requests)]
    while due or len(parts.dispatcher):
        while due and due[0] <= parts.clock.now:
            came = due.pop(0)
            try:
                parts.submit(
                    [len(due) % COUNT],
                    lambda item, came=came: found.append((parts.clock.now - came, item.prediction)),
                    "full",
                    deadline=came + DEADLINE - parts.clock.now,
                )
            except Overloaded as error:
                assert error.retry_after > 0
                rejected += 1
        if len(parts.dispatcher):
            parts.run_once()
        elif due:
            parts.clock.now = max(parts.clock.now, due[0])
    assert len(found) + rejected == requests
    return found, rejected


@pytest.mark.parametrize("rate", [0.5, 1, 2, 4, 12, 30])
def test_accepted_requests_keep_their_deadline_at_any_load(rate):
    requests = round(150 * max(1, rate / 5))
    found, rejected = load(rate, requests)
    assert all(late <= DEADLINE + LAYER for late, _ in found)
    depth = sum(prediction.depth for _, prediction in found) / len(found)
    assert all(prediction.depth >= 1 for _, prediction in found)
    if rate <= 0.5:
        assert depth == 6
    if rate <= 4:
        assert not rejected, "exits could still have been earlier"
    if rate >= 4:
        assert depth < 3
    if rate > 6:  # not even one layer for each
        assert rejected
        seconds = requests / (rate * AT_FULL_DEPTH)
        assert len(found) > 0.7 * 4 * seconds, "a layer each for four a second"
