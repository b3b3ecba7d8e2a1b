"""Admission: exact accounts, bounds that hold, and no request that can never be served."""

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
        several = sum(bool(costs) for _, costs in here) > 1
        assert admission.texts <= max_texts or not several or kind != "ask"
    for ticket, _ in here:
        ticket.close()
        ticket.close()
    assert (admission.texts, admission.layer_tokens) == (0, 0)


def test_a_request_larger_than_the_limit_is_accepted_alone():
    admission = Admission(4, 100, FakeClock())
    ticket = admission.admit(9)
    ticket.charge([50] * 9)
    with pytest.raises(Overloaded, match="9 texts with 450 layer-tokens are in progress, of at most 4 and 100"):
        admission.admit(1)
    ticket.close()
    admission.admit(1).charge([1000])


def test_a_request_rejected_for_its_tokens_is_fully_released():
    admission = Admission(10, 100, FakeClock())
    admission.admit(1).charge([90])
    ticket = admission.admit(2)
    with pytest.raises(Overloaded):
        ticket.charge([6, 6])
    assert (admission.texts, admission.layer_tokens) == (1, 90)


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
