"""Fair shares between requests of different sizes, on a fake clock: who is served when, and who is accepted."""

import functools
import statistics

import pytest
from troubled import Parts, reference

from elbert.engine import Capacity
from elbert.serving.errors import Overloaded
from elbert.tokenization import Tokens

CAPACITY = Capacity(128, 2048)
SHORT, LONG = 8, 64  # tokens of a text


def texts(count, length):
    """Tokens of so many texts."""
    ids = reference()[0][0].ids
    return [Tokens((ids * length)[:length], [0] * length, False) for _ in range(count)]


def make_parts(**options):
    """A service whose layer calls take 2 ms and 0.02 ms for each token, as on a processor."""
    parts = Parts(512, 16384 * 6, capacity=CAPACITY, **options)
    parts.backend.duration, parts.backend.per_token = 0.002, 0.00002
    parts.run_once()
    parts.clock.now = 0.0
    return parts


class Client:
    """Sends its next request as soon as it has all answers to the last one."""

    def __init__(self, parts, count, length, spec, deadline=None):
        self.parts, self.request = parts, (texts(count, length), spec, deadline)
        self.missing, self.sent, self.rejected, self.seconds, self.late, self.depths = 0, 0.0, 0, [], [], []

    def act(self, since=None):
        """Send a request, if none is in progress; its latency counts from ``since`` (default: now)."""
        if self.missing:
            return
        tokens, spec, deadline = self.request
        self.missing, self.sent = len(tokens), self.parts.clock.now if since is None else since
        try:
            self.parts.submit_tokens(tokens, self.receive, spec, deadline)
        except Overloaded:
            self.missing = 0
            self.rejected += 1

    def receive(self, result):
        """Take an answer."""
        assert result.error is None
        self.missing -= 1
        self.depths.append(result.prediction.depth)
        if not self.missing:
            self.seconds.append(self.parts.clock.now - self.sent)
            if self.request[2] is not None:
                self.late.append(self.seconds[-1] - self.request[2])


def serve(parts, crowd, light, answers):
    """Run until the light client has so many answers or rejections; it pauses between its requests."""
    done, wake = 0, 0.05
    for _ in range(20_000):
        for client in crowd:
            client.act()
        if (now_done := len(light.seconds) + light.rejected) > done:
            done, wake = now_done, parts.clock.now + 0.001 * (now_done * 17 % 60)  # at all phases of the others' calls
        if done == answers:
            return
        if not light.missing and parts.clock.now >= wake:
            light.act(wake if light.request[2] is None else None)
        before = parts.clock.now
        parts.run_once()
        if parts.clock.now == before:
            parts.clock.now += 0.0005
    raise AssertionError("the light client is not answered")


@functools.cache
def beside(count, length, clients, spec):
    """The light client's median latency, and how often it is rejected, beside clients with ``count`` texts each."""
    parts = make_parts()
    light = Client(parts, 1, SHORT, "full")
    serve(parts, [Client(parts, count, length, spec) for _ in range(clients)], light, 12)
    return statistics.median(light.seconds), light.rejected


@pytest.mark.parametrize("spec", ["full", "safe"])
@pytest.mark.parametrize(("clients", "length"), [(4, 16), (1, LONG), (4, LONG), (16, LONG)])
def test_a_light_client_beside_heavy_ones_waits_at_most_twice_as_long_as_beside_ordinary_ones(spec, clients, length):
    ordinary, _ = beside(32, SHORT, 4, spec)
    heavy, rejected = beside(32, length, clients, spec)
    assert heavy <= 2 * ordinary
    assert not rejected


def test_large_requests_get_half_of_the_tokens_beside_a_flood_of_small_ones():
    parts = make_parts()
    heavy = Client(parts, 32, LONG, "full")
    crowd = [Client(parts, 4, SHORT, "full") for _ in range(100)]
    for _ in range(1000):
        for client in [heavy, *crowd]:
            client.act()
        if len(heavy.seconds) == 6:
            break
        parts.run_once()
    calls = [step.call for step in parts.steps if step.call]
    of_heavy = sum(call.tokens for call in calls if call.tokens == call.rows * LONG)
    assert of_heavy == 6 * 6 * 32 * LONG
    assert 0.4 <= of_heavy / sum(call.tokens for call in calls) <= 0.7


def test_a_small_request_joins_the_next_call_and_does_not_share_those_of_a_large_one():
    parts = make_parts()
    order = []
    parts.submit_tokens(texts(32, LONG), lambda result: order.append("large"), "full")
    for _ in range(4):
        parts.run_once()
    parts.submit_tokens(texts(1, SHORT), lambda result: order.append("small"), "full")
    while len(parts.dispatcher):
        parts.run_once()
    assert [step.call.tokens for step in parts.steps if step.call] == [*[512] * 4, *[8] * 6, *[512] * 20]
    assert order == ["small"] + ["large"] * 32


def test_requests_of_one_size_share_their_calls():
    for length, rows in ((SHORT, 15), (LONG, 8)):  # as many long ones as a call of large requests takes
        parts = make_parts()
        for _ in range(3):
            parts.submit_tokens(texts(5, length), lambda result: None, "full")
        parts.run_once()
        assert parts.steps[-1].call.rows == rows


@pytest.mark.parametrize("spec", ["full", "safe"])
@pytest.mark.parametrize(("count", "length"), [(1, SHORT), (4, SHORT), (4, LONG)])
def test_deadlines_are_kept_beside_floods_without_one(spec, count, length):
    parts = make_parts()
    crowd = [Client(parts, 32, length, spec) for length in (SHORT, LONG) for _ in range(8)]
    longest = 0.002 + 0.00002 * CAPACITY.tokens
    for seconds in (0.1, 0.2, 1.0):
        light = Client(parts, count, length, "full", seconds)
        serve(parts, crowd, light, 5)
        assert not light.rejected
        assert max(light.late) <= longest + 0.002 + 0.00002 * 256, "a call of the large requests and one of the small"
        assert min(light.depths) >= 1
        if seconds == 1.0 and length == SHORT:
            assert max(light.depths) == 6


def test_a_deadline_is_rejected_for_rows_that_are_due_before_and_no_others():
    parts = make_parts()

    def submit(count, length, deadline=None):
        parts.submit_tokens(texts(count, length), lambda result: None, "full", deadline)

    submit(32, LONG)
    for _ in range(3):
        parts.run_once()
    submit(32, LONG)  # these two start later
    submit(32, LONG, deadline=5)
    assert parts.dispatcher.waiting == 24 + 64  # 8 of the first are in calls of the large requests
    submit(1, SHORT, deadline=0.05)
    for _ in range(2):
        submit(32, LONG, deadline=0.1)
    with pytest.raises(Overloaded, match="65 texts are due before"):
        submit(1, SHORT, deadline=0.1)


def test_a_deadline_flood_does_not_starve_a_light_client():
    parts = make_parts()
    crowd = [Client(parts, 32, length, "full", 0.1) for length in (SHORT, LONG) for _ in range(6)]
    light = Client(parts, 1, SHORT, "full")
    serve(parts, crowd, light, 5)
    assert not light.rejected
    assert max(light.seconds) < 2
