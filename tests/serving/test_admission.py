"""Admission: exact accounts, bounds that hold, and no request that can never be served."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from troubled import FakeClock

from elbert.serving.admission import Admission
from elbert.serving.errors import Overloaded

events = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.lists(st.integers(0, 60), min_size=1, max_size=6)),
        st.tuples(st.just("release"), st.tuples(st.integers(0, 20), st.integers(0, 5))),
        st.tuples(st.just("close"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.floats(0, 10)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(events=events, max_texts=st.integers(1, 10), max_layer_tokens=st.integers(1, 120))
def test_counts_are_exact_and_end_at_zero(events, max_texts, max_layer_tokens):
    clock = FakeClock()
    admission = Admission(max_texts, max_layer_tokens, clock)
    here = []  # (ticket, {index: cost})
    for kind, value in events:
        alone = admission.texts == 0
        if kind == "ask":
            ticket = None
            try:
                ticket = admission.admit(len(value))
                ticket.charge(value)
                here.append((ticket, dict(enumerate(value))))
            except Overloaded as error:
                assert not alone, "a request that is alone is never rejected"
                assert 0.1 <= error.retry_after <= 30
        elif kind == "release" and here:
            ticket, costs = here[value[0] % len(here)]
            ticket.release(value[1])
            costs.pop(value[1], None)
        elif kind == "close" and here:
            ticket, costs = here[value % len(here)]
            ticket.close()
            costs.clear()
        elif kind == "wait":
            clock.now += value
        assert admission.texts == sum(len(costs) for _, costs in here)
        assert admission.layer_tokens == sum(sum(costs.values()) for _, costs in here)
        # One request may be larger than a limit; together they stay below twice the limits.
        assert sum(min(len(costs), max_texts) for _, costs in here) <= 2 * max_texts
        assert sum(min(sum(costs.values()), max_layer_tokens) for _, costs in here) <= 2 * max_layer_tokens
    for ticket, _ in here:
        ticket.close()
        ticket.close()
    assert (admission.texts, admission.layer_tokens) == (0, 0)


def test_a_request_larger_than_the_limit_is_accepted_alone():
    admission = Admission(4, 100, FakeClock())
    ticket = admission.admit(9)
    ticket.charge([50] * 9)
    with pytest.raises(Overloaded, match="9 texts with 450 layer-tokens are in progress, of at most 4 and 100"):
        admission.admit(2)
    ticket.close()
    admission.admit(2).charge([1000, 1000])


def test_a_request_rejected_for_its_tokens_is_fully_released():
    admission = Admission(10, 100, FakeClock())
    admission.admit(1).charge([90])
    ticket = admission.admit(2)
    with pytest.raises(Overloaded):
        ticket.charge([40, 41])
    assert (admission.texts, admission.layer_tokens) == (1, 90)


def test_an_estimate_counts_until_the_tokens_are_known():
    admission = Admission(100, 1000, FakeClock())
    first = admission.admit(2, 600)
    assert admission.layer_tokens == 600
    with pytest.raises(Overloaded):
        admission.admit(2, 600)
    first.charge([100, 200])
    assert admission.layer_tokens == 300
    other = admission.admit(2, 600)
    other.close()
    first.release(0)
    assert (admission.texts, admission.layer_tokens) == (1, 200)


def fill(admission, texts, layer_tokens):
    """Requests of this size, until one is rejected."""
    accepted = []
    for _ in range(1000):
        try:
            ticket = admission.admit(texts, layer_tokens)
            ticket.charge([layer_tokens // texts] * texts)
        except Overloaded:
            return accepted
        accepted.append(ticket)
    raise AssertionError("never rejected")


@pytest.mark.parametrize(("texts", "tokens"), [(32, 32 * 512), (32, 32 * 64), (32, 32 * 8), (8, 8 * 512), (8, 64)])
def test_a_small_request_is_accepted_beside_any_number_of_large_ones(texts, tokens):
    depths = 12
    admission = Admission(512, 16384 * depths, FakeClock())
    accepted = fill(admission, texts, tokens * depths)
    assert accepted
    for _ in range(100):
        admission.admit(1, 8 * depths).charge([8 * depths])
    with pytest.raises(Overloaded):
        admission.admit(texts, tokens * depths)


def test_a_request_is_rejected_for_as_many_of_its_own_size():
    admission = Admission(100, 1000, FakeClock())
    assert len(fill(admission, 10, 20)) == 10
    admission = Admission(100, 1000, FakeClock())
    assert len(fill(admission, 1, 20)) == 50


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(1, 32), st.integers(1, 200)), min_size=1, max_size=300))
def test_all_requests_together_stay_below_twice_the_limits(sizes):
    admission = Admission(100, 1000, FakeClock())
    for texts, each in sizes:
        with contextlib.suppress(Overloaded):
            admission.admit(texts, texts * each).charge([texts * each] + [0] * (texts - 1))
    largest = max(texts * each for texts, each in sizes)
    assert admission.texts <= 200
    assert admission.layer_tokens <= 2000 + max(0, largest - 1000)


def test_retry_after_follows_the_rate_of_exits():
    clock = FakeClock()
    admission = Admission(100, 10**6, clock)
    admission.admit(1)

    def waits(seconds_each, texts):
        for _ in range(texts):
            ticket = admission.admit(1)
            clock.now += seconds_each
            ticket.close()
        full = admission.admit(99)
        wait = admission.overload_error().retry_after
        full.close()
        return wait

    assert waits(0.02, 20) == pytest.approx(50 * 0.02, rel=0.1)  # half of a hundred
    clock.now += 60
    assert waits(0.2, 200) == pytest.approx(50 * 0.2, rel=0.1)
