"""The scheduler alone, with rows that are numbers: capacities, order, and that no row starves."""

from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert.engine import ArrivalQueue, Capacity, DeadlineQueue, Scheduler, SweepQueue

rows_to_come = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 6)), max_size=50)  # (length, exit depth)
NEEDS = {"one layer": "aaaaaa", "two groups": "aaabbb", "a layer each": "abcdef"}


def run(rows, capacity, weights_keys, queue, lanes=1, arrivals=(), refill=0.0):
    """Serve rows ``(length, exit depth)`` that arrive so many per step; yields every call, and ends when all left."""
    scheduler = Scheduler(capacity, weights_keys, queue=queue, lanes=lanes, refill=refill)
    depth, under_way, left = {}, [], set()
    coming, arrivals = deque(enumerate(rows)), iter(arrivals)
    for _ in range(10_000):
        for _ in range(min(len(coming), next(arrivals, len(coming)))):
            identity, (length, _) = coming.popleft()
            scheduler.add(identity, length)
        started = scheduler.admit()
        depth.update(dict.fromkeys(started, 0))
        scheduler.enqueue(weights_keys[0], started)
        call = scheduler.next_call()
        if call is not None:
            weights_key, identities = call
            assert {weights_keys[depth[i]] for i in identities} == {weights_key}
            under_way.append(identities)
            yield [(rows[i][0], i) for i in identities], scheduler
        if under_way and (len(under_way) == lanes or not scheduler.can_call):
            for i in under_way.pop(0):
                depth[i] += 1
                if depth[i] >= min(rows[i][1], len(weights_keys)):
                    left.add(i)
                    scheduler.release([i])
                else:
                    scheduler.enqueue(weights_keys[depth[i]], [i])
        if len(left) == len(rows):
            return
    raise AssertionError("rows starved")


@settings(max_examples=150, deadline=None)
@given(
    rows=rows_to_come,
    most_rows=st.integers(1, 9),
    most_tokens=st.integers(1, 200),
    weights_keys=st.sampled_from(list(NEEDS.values())),
    lanes=st.integers(1, 2),
    sweep=st.booleans(),
    arrivals=st.lists(st.integers(0, 9), max_size=12),
    refill=st.sampled_from([0.0, 0.125, 0.5, 1.0]),
)
def test_everybody_is_served_within_the_capacity(
    rows, most_rows, most_tokens, weights_keys, lanes, sweep, arrivals, refill
):
    capacity, served = Capacity(most_rows, most_tokens), Counter()
    for call, scheduler in run(
        rows, capacity, weights_keys, SweepQueue() if sweep else ArrivalQueue(), lanes, arrivals, refill
    ):
        assert 1 <= len(call) <= most_rows
        assert len(call) == 1 or sum(length for length, _ in call) <= most_tokens
        assert scheduler.num_live <= most_rows * max(lanes, len(set(weights_keys)))
        served.update(i for _, i in call)
    assert served == {i: exit_depth for i, (_, exit_depth) in enumerate(rows)}


def test_with_shared_weights_every_call_is_full_while_rows_wait():
    rows = [(10, 1 + i % 6) for i in range(200)]
    calls = [
        len(call) for call, scheduler in run(rows, Capacity(8, 1000), "aaaaaa", ArrivalQueue()) if scheduler.num_waiting
    ]
    assert len(calls) > 50
    assert set(calls) == {8}


def test_places_may_be_refilled_several_at_a_time():
    rows = [(10, 1 + i % 6) for i in range(300)]
    calls = [len(call) for call, _ in run(rows, Capacity(16, 1000), "aaaaaa", ArrivalQueue(), refill=0.25)][:-12]
    risen = [b for a, b in zip(calls, calls[1:]) if b > a]
    assert min(calls) > 16 - 4 - 6  # no lower than a quarter free, and who leaves in one call more
    assert set(risen) == {16}


def test_requests_start_in_the_order_of_their_arrival():
    rows = [(length, 1) for length in (3, 50, 1, 20, 9)]
    order = [i for call, _ in run(rows, Capacity(2, 100), "a", ArrivalQueue()) for _, i in call]
    assert order == [0, 1, 2, 3, 4]


def test_a_sweep_goes_from_long_to_short():
    rows = [(length, 1) for length in (3, 50, 1, 20, 9)]
    order = [length for call, _ in run(rows, Capacity(2, 100), "a", SweepQueue()) for length, _ in call]
    assert order == [50, 20, 9, 3, 1]


@pytest.mark.parametrize("newcomer", [5, 60, 100])
def test_a_sweep_starves_no_row_whatever_keeps_arriving(newcomer):
    sweep = SweepQueue()
    sweep.put(-1, 60)
    sweep.put(-2, 5)
    taken = []
    for i in range(10):
        sweep.put(i, newcomer)
        taken.append(sweep.take()[0])
    assert {-1, -2} <= set(taken)


def test_a_small_pool_of_deep_rows_is_served_in_time():
    """Rows that go deep are few; shallow ones keep every call full. The deep must not wait for ever."""
    rows = [(1, 6 if i % 50 == 0 else 1) for i in range(2000)]
    last = {}
    for number, (call, _) in enumerate(run(rows, Capacity(10, 100), "abcdef", ArrivalQueue())):
        for _, i in call:
            last.setdefault(i, []).append(number)
    waits = [b - a for steps in last.values() for a, b in zip(steps, steps[1:])]
    assert max(waits) <= 4 * 6 + 6


def test_a_row_of_more_than_all_tokens_goes_alone():
    rows = [(5, 2), (500, 2), (5, 2)]
    calls = [[length for length, _ in call] for call, _ in run(rows, Capacity(8, 100), "aa", ArrivalQueue())]
    assert [500] in calls
    assert all(500 not in call or len(call) == 1 for call in calls)


def test_hurried_rows_start_without_room_and_stand_first():
    scheduler = Scheduler(Capacity(2, 100), "aaaaaa")
    for i in range(4):
        scheduler.add(i, 10)
    scheduler.enqueue("a", scheduler.admit())
    assert scheduler.admit() == []
    started = scheduler.admit([(3, 10), (2, 10)])
    assert started == [3, 2]  # as they are named, however they were queued
    scheduler.enqueue("a", started, is_urgent=True)
    assert (scheduler.next_call(), scheduler.num_waiting, scheduler.num_live) == (("a", [3, 2]), 0, 4)
    scheduler.release([3, 2])
    assert scheduler.next_call() == ("a", [0, 1])


def test_withdrawn_rows_neither_wait_nor_stand():
    for queue in (ArrivalQueue(), SweepQueue(), DeadlineQueue()):
        scheduler = Scheduler(Capacity(2, 100), "aaaaaa", queue=queue)
        for i in range(5):
            scheduler.add(i, 10 + i)
        first = scheduler.admit()
        scheduler.enqueue("a", first)
        waiting = [i for i in range(5) if i not in first]
        scheduler.withdraw({first[0], waiting[1]})
        scheduler.release([first[0], waiting[1]])
        assert (scheduler.num_waiting, scheduler.num_live) == (2, 1)
        assert scheduler.next_call() == ("a", [first[1]])
        scheduler.release([first[1]])
        assert sorted(scheduler.admit()) == sorted([waiting[0], waiting[2]])
        assert scheduler._live_tokens == sum(10 + i for i in (waiting[0], waiting[2]))


def test_urgency_goes_by_when_rows_are_due():
    queue = DeadlineQueue()
    for identity, due in enumerate([5.0, 1.0, float("inf"), 1.0]):
        queue.put(identity, 7, due)
    assert [queue.take() for _ in range(4)] == [(1, 7), (3, 7), (0, 7), (2, 7)]


def order(queue):
    taken = []
    while len(queue):
        assert queue.peek() == (row := queue.take())
        taken.append(row[0])
    return taken


def test_flows_take_turns_by_tokens():
    queue = DeadlineQueue()
    for identity in range(6):
        queue.put(identity, 50, flow=1)
    for identity in range(10, 16):
        queue.put(identity, 25, flow=2)
    assert order(queue) == [0, 10, 11, 1, 12, 13, 2, 14, 15, 3, 4, 5]


def test_a_flow_of_one_row_does_not_wait_for_the_end_of_a_large_one():
    queue = DeadlineQueue()
    for identity in range(100):
        queue.put(identity, 500, flow=1)
    taken = [queue.take()[0] for _ in range(40)]
    queue.put(1000, 8, flow=2)
    taken += [queue.take()[0] for _ in range(2)]
    assert 1000 in taken
    assert order(queue) == list(range(41, 100))


def test_rows_with_a_deadline_go_before_flows_that_are_due_later():
    queue = DeadlineQueue()
    queue.put(0, 10, 5.0, flow=1)
    queue.put(1, 10, 2.0)
    queue.put(2, 10, 7.0)
    queue.put(3, 10, 5.0, flow=1)
    assert order(queue) == [1, 0, 3, 2]


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    arriving=st.lists(st.integers(20, 60), min_size=1, max_size=20),
    each=st.integers(1, 3),
)
def test_no_row_of_a_flow_waits_forever(rows, arriving, each):
    """However long new flows arrive, as fast as rows are taken, the rows of an old one have their turns."""
    queue, waiting = DeadlineQueue(), set(range(len(rows)))
    for identity, length in enumerate(rows):
        queue.put(identity, length, flow=0)
    for step in range(1, 1000):
        for number in range(each if step % each == 0 else 0):
            queue.put(10 * step + number, arriving[step % len(arriving)], flow=10 * step + number)
        waiting.discard(queue.take()[0])
        if not waiting:
            break
    assert not waiting


def test_dropped_rows_leave_nothing_of_their_flows():
    queue = DeadlineQueue()
    for identity in range(12):
        queue.put(identity, 10, flow=identity % 3)
    queue.drop({0, 3, 6, 9, 1})
    assert order(queue) == [2, 4, 5, 7, 8, 10, 11]
    assert not queue._ends
    assert not queue._sizes


def test_urgent_rows_leave_an_eighth_of_the_call_to_others():
    """Where every call could be filled with urgent rows, rows without a deadline still start and take calls."""
    scheduler = Scheduler(Capacity(8, 800), "aa", queue=DeadlineQueue())
    scheduler.add(0, 10, due=0.0, flow=0)
    started = []
    for call in range(3):
        urgent = [(100 + 10 * call + i, 10) for i in range(8)]
        for identity, length in urgent:
            scheduler.add(identity, length, due=1.0)
        started = scheduler.admit(urgent)
        scheduler.enqueue("a", started, is_urgent=True)
        _, rows = scheduler.next_call()
        assert rows[:7] == [identity for identity, _ in urgent[:7]]
        scheduler.release(rows)
        scheduler.withdraw([identity for identity, _ in urgent])
        if 0 in rows:
            return
    raise AssertionError("the row without a deadline takes no call")
