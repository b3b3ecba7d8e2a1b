"""Adaptive depth on a fake clock: up under load, back with hysteresis, never past the last, no flapping."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from troubled import FakeClock, tiny_classifier

from elbert.errors import InputError
from elbert.serving.point_selection import AdaptiveLevel, PointSelector, measured_depth, order_points

RISE, FALL, TARGET = 0.25, 5.0, 0.1
delays = st.lists(st.tuples(st.floats(0, 3), st.floats(0, 0.3)), max_size=80)  # (seconds since the last, delay)


def run(steps, observations):
    """``[(time, delay, level)]``."""
    clock = FakeClock()
    adaptive = AdaptiveLevel(steps, clock, target=TARGET, rise=RISE, fall=FALL)
    for passed, delay in observations:
        clock.now += passed
        yield clock.now, delay, adaptive.update(delay)


@settings(max_examples=300, deadline=None)
@given(steps=st.integers(1, 4), observations=delays)
def test_the_level_moves_in_single_steps_and_does_not_oscillate(steps, observations):
    level, last_rise = 0, -RISE
    for now, delay, new in run(steps, observations):
        assert 0 <= new < steps
        if new > level:
            assert new == level + 1, "one step at a time"
            assert delay > TARGET
            assert now - last_rise >= RISE - 1e-9
            last_rise = now
        elif new < level:
            assert now - last_rise >= FALL - 1e-9, "back too soon"
        level = new


@settings(max_examples=200, deadline=None)
@given(steps=st.integers(1, 5), delay=st.floats(0.11, 5), every=st.floats(0.01, 0.2))
def test_constant_load_leads_to_the_fastest_point_and_no_further(steps, delay, every):
    levels = [level for _, _, level in run(steps, [(every, delay)] * 400)]
    assert levels == sorted(levels)
    assert levels[-1] == (steps - 1 if 400 * every > (RISE + every) * steps else levels[-1])


@settings(max_examples=200, deadline=None)
@given(observations=delays, base=st.integers(2, 4))
def test_more_delay_never_leads_to_a_slower_point(observations, base):
    """Monotone where it must be: delays that are all doubled end no slower while the load rises."""
    rising = [(passed, 0.11 + delay) for passed, delay in observations]
    doubled = [(passed, 2 * delay) for passed, delay in rising]
    assert [x[2] for x in run(base, doubled)] == [x[2] for x in run(base, rising)]  # above is above


def test_a_delay_between_low_and_target_changes_nothing():
    up = [(0.1, 0.2)] * 4
    between = [(1.0, 0.05)] * 50
    assert [level for *_, level in run(3, up + between)][-1] == 1


def test_the_level_falls_one_at_a_time_after_each_fall_interval():
    up = [(0.1, 0.2)] * 20
    calm = [(0.5, 0.0)] * 40
    levels = [level for *_, level in run(3, up + calm)]
    assert max(levels) == 2
    back = levels[20:]
    assert back[8] == 2
    assert (back.index(1), back.index(0)) == (10, 20)


def test_a_long_idle_time_returns_to_the_base():
    up = [(0.1, 0.2)] * 20
    assert [level for *_, level in run(3, [*up, (0.1, 0.0), (3600, 0.0)])][-2:] == [2, 0]


def test_a_short_low_delay_restarts_the_rise_timer():
    pulses = [(0.2, 0.2), (0.01, 0.02)] * 50
    assert max(level for *_, level in run(3, pulses)) == 0


@pytest.mark.parametrize("wrong", [{"target": 0}, {"rise": 6.0}, {"low": 1.0}])
def test_times_that_would_oscillate_are_rejected(wrong):
    with pytest.raises(InputError, match="expected target > 0, 0 < rise < fall"):
        AdaptiveLevel(2, FakeClock(), **wrong)


def test_points_are_ordered_by_measured_mean_depth():
    points = tiny_classifier().bundle.points
    assert order_points(points, "safe", "fast") == ["safe", "balanced", "fast"]
    assert order_points(points, "balanced", "balanced") == ["balanced"]
    assert measured_depth(points["unmeasured"]) is None
    with pytest.raises(InputError, match="'unmeasured' is no operating point.*safe, balanced, fast"):
        order_points(points, "safe", "unmeasured")
    with pytest.raises(InputError, match="is slower than 'balanced'"):
        order_points(points, "balanced", "safe")


def test_the_default_follows_the_delay_and_named_policies_do_not():
    clock = FakeClock()
    points = PointSelector(tiny_classifier(), clock, fastest="fast", target_delay=0.1)
    assert points.current.name == points.choose(None).name == "safe"
    points.update(0.5)
    clock.now += 1
    assert points.update(0.5)
    assert points.choose(None).name == "balanced"
    assert points.choose("safe").name == "safe"
    assert points.choose(" depth(4) ").name == "depth(4)"
    assert points.choose("depth(4)").policy is points.choose("depth(4)").policy
    assert points.expected_depth(points.choose("safe")) == 4.0
    spec = points.choose("depth(4)")
    assert points.expected_depth(spec) == 6.0
    for _ in range(400):
        points.record_exit("depth(4)", 4)
    assert points.expected_depth(spec) == pytest.approx(4, abs=0.01)
