"""The simulator of the engine against closed forms, queueing theory, and the engine itself."""

import json
import random
import sys
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # benchmarks are scripts: their folder is their root

from elbert import bundled_model  # noqa: E402
from elbert.bundle import Bundle  # noqa: E402
from elbert.engine import ArrivalQueue, Capacity, Engine, Request, SweepQueue  # noqa: E402
from elbert.exits import policy  # noqa: E402
from scripted import POLICY, Scripted  # noqa: E402
from simulator import (  # noqa: E402
    Costs,
    Curve,
    Line,
    Paced,
    Replica,
    Step,
    Text,
    Timed,
    fewest_of,
    formulas,
    random_one,
    serve,
    shrinking,
    turn_by_turn,
    waiting,
)
from simulator.costs import HOST  # noqa: E402
from simulator.probes import priced, row_of  # noqa: E402
from simulator.stopwatch import Hollow  # noqa: E402

DEPTHS = [1, 1, 1, 2, 2, 3, 5, 12]  # of 12
SHARED = "a" * 12
EACH = "abcdefghijkl"


def drawn(number, depths=DEPTHS, seed=0):
    return [Text(1, depth) for depth in random.Random(seed).choices(depths, k=number)]


def replica(rows, clock, weights_keys=SHARED, **options):
    return Replica(Capacity(rows, rows), clock, weights_keys, **options)


def random_times(number, rate, seed=0):
    draw = random.Random(seed)
    return list(accumulate(draw.expovariate(rate) for _ in range(number)))


@pytest.mark.parametrize(("a", "b", "rows"), [(8.0, 1.0, 1), (8.0, 1.0, 16), (0.0, 1.0, 64), (50.0, 0.1, 64)])
def test_refilling_costs_what_the_formula_says(a, b, rows):
    texts = drawn(100 * rows)
    served = serve(texts, [0.0] * len(texts), [replica(rows, Line(a, b))])
    formula = formulas.refill(a, b, rows, [text.depth for text in texts]) * len(texts) / rows
    # At the very end places stay empty: for a row that starts last and goes all the way, and no longer.
    assert formula - 1e-6 <= served.seconds <= formula + 12 * a + 1e-6
    full = formulas.refill(a, b, rows, [12]) * len(texts) / rows
    speedup = full / served.seconds
    assert speedup == pytest.approx(12 / formulas.mean([text.depth for text in texts]), rel=0.15 if rows > 1 else 1e-9)


@pytest.mark.parametrize(("way", "formula"), [(shrinking, formulas.shrink), (waiting, formulas.wait)])
@pytest.mark.parametrize("rows", [1, 4, 32])
def test_batches_cost_what_the_formula_says(way, formula, rows):
    clock = Line(8.0, 1.0)
    seconds = np.array([way(drawn(rows, seed=seed), clock) for seed in range(1500)])
    error = seconds.std() / len(seconds) ** 0.5
    assert abs(seconds.mean() - formula(8.0, 1.0, rows, DEPTHS)) < 4 * error


def test_two_batches_by_hand():
    batch, clock = [Text(1, 1), Text(1, 1), Text(1, 3)], Line(10.0, 1.0)
    assert waiting(batch, clock) == 3 * 13
    assert shrinking(batch, clock) == 13 + 11 + 11
    assert serve([batch[0], batch[2], batch[1]], [0.0] * 3, [replica(2, clock)]).seconds == 12 + 12 + 11


def test_where_all_leave_at_one_depth_no_way_is_better():
    texts, clock = drawn(64, [4]), Line(8.0, 1.0)
    assert serve(texts, [0.0] * 64, [replica(64, clock)]).seconds == shrinking(texts, clock) == waiting(texts, clock)
    assert formulas.refill(8.0, 1.0, 64, [4]) == formulas.shrink(8.0, 1.0, 64, [4]) == formulas.wait(8.0, 1.0, 64, [4])


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_one_row_at_a_time_is_the_queue_of_the_books(load):
    """Pollaczek and Khinchine: texts that come at random to one server stay E[S] + rate E[S^2] / 2 (1 - load)."""
    texts = drawn(40_000, seed=1)
    times = [text.depth for text in texts]  # one a depth
    mean, square = np.mean(times), np.mean(np.square(times))
    rate = load / mean
    served = serve(texts, random_times(len(texts), rate), [replica(1, Line(0.0, 1.0))])
    assert served.stay.mean() == pytest.approx(mean + rate * square / (2 * (1 - load)), rel=0.06)
    assert served.busy == pytest.approx(load, rel=0.02)


class Seen(Line):
    """A clock that records its calls."""

    @cached_property
    def steps(self):
        return []

    def step(self, step, at):
        self.steps.append(step)
        return super().step(step)


@pytest.mark.parametrize("groups", [1, 12])
@pytest.mark.parametrize(("sweep", "refill"), [(True, 1 / 8), (False, 0.0)])
@pytest.mark.parametrize(("rows", "tokens"), [(1, 99), (7, 60), (40, 2000)])
def test_it_makes_the_very_calls_that_the_engine_makes(groups, sweep, refill, rows, tokens):
    config = replace(Bundle.open(bundled_model()).config, num_hidden_groups=groups)
    draw = random.Random(rows)
    texts = [row_of(draw.randint(3, 40), seed) for seed in range(150)]
    backend, capacity = Scripted(Hollow(config), DEPTHS), Capacity(rows, tokens)
    engine = Engine(backend, capacity, queue=SweepQueue() if sweep else ArrivalQueue(), refill=refill)
    for identity, each in enumerate(texts):
        engine.submit(Request(identity, each, policy(POLICY)))
    calls = []
    while len(engine):
        gone = engine.step().identities
        calls.append((engine.last_call.rows, engine.last_call.tokens, len(engine.last_call.started), sorted(gone)))
    numbers = [Text(len(each.ids), DEPTHS[sum(each.ids) % len(DEPTHS)]) for each in texts]
    weights_keys = [config.weights_key(depth) for depth in range(12)]
    seen = Seen(1.0, 0.0)
    twin = Replica(capacity, seen, weights_keys, queue=SweepQueue() if sweep else ArrivalQueue(), refill=refill)
    for identity, text in enumerate(numbers):
        twin.enter(identity, text, 0.0)
    left = [sorted(twin.step()) for _ in calls]
    assert not len(twin)
    assert [(s.rows, s.tokens, s.started, gone) for s, gone in zip(seen.steps, left)] == calls


def test_a_layer_of_its_own_for_every_depth_costs_waiting():
    texts, clock = drawn(2000), Line(8.0, 1.0)
    comes = random_times(len(texts), 0.7 * 16 / formulas.refill(8.0, 1.0, 16, DEPTHS))
    shared, each = (serve(texts, comes, [replica(16, clock, weights_keys)]) for weights_keys in (SHARED, EACH))
    assert each.rows_a_call < shared.rows_a_call
    assert each.stay.mean() > 1.3 * shared.stay.mean()
    assert (each.stay > 0).all()


def test_a_fleet_serves_everybody_and_asking_two_is_better_than_asking_none():
    texts, clock = drawn(6000), Line(8.0, 1.0)
    comes = random_times(len(texts), 20 * 0.85 * 16 / formulas.refill(8.0, 1.0, 16, DEPTHS))
    found = {}
    for name, route in {"any": random_one(20), "turns": turn_by_turn(20), "two": fewest_of(2, 20)}.items():
        found[name] = serve(texts, comes, [replica(16, clock) for _ in range(20)], route)
        assert (found[name].stay >= 9).all()  # one call at least
    assert found["two"].latency(99) < found["any"].latency(99)
    assert found["two"].stay.mean() < found["any"].stay.mean()
    # What the steps cost is the same work, however it is spread: b for every row and depth.
    assert found["any"].rows_a_call * found["any"].calls == sum(text.depth for text in texts)


def flat(**changes):
    host = dict.fromkeys(HOST, 0.0)
    parts = {"layer": Curve((1, 64), (1.0, 64.0)), "square": 0.0, "usual": 32, "head": Curve((1,), (0.0,))}
    parts |= {"embed": (0.0, 0.0, 0.0), "copy": Curve((1,), (0.0,)), "host": host, "entry": 0.0}
    return Costs(**(parts | changes))


def test_measured_costs_add_up():
    step = Step(rows=4, tokens=16, squares=64, started=2, started_tokens=8, left=1, left_tokens=4)
    assert flat().step(step) == 16
    assert flat(square=0.5).step(step) == 16 + 0.5 * (64 - 16 * 16)
    assert flat(head=Curve((1, 9), (1.0, 9.0))).step(step) == 16 + 4
    assert flat(embed=(100.0, 10.0, 1.0)).step(step) == 16 + 100 + 20 + 8
    assert flat(copy=Curve((1,), (2.0,))).step(step) == 16 + 2 * (16 + 12)  # joined, and kept
    host = {name: 10.0**i for i, name in enumerate(HOST)}
    assert flat(host=host).step(step) == 16 + 1 + 40 + 100 + 2000 + 10**4 + 10**5 + 10**6 + 10**7 + 28 * 10**8
    alone = Step(rows=1, tokens=4, squares=16, started=1, started_tokens=4, left=1, left_tokens=4)
    assert not alone.joins
    assert not alone.keeps
    assert alone.moved == 0


def test_curves_go_on_and_costs_survive_a_file():
    measured = Curve((2, 4, 8), (1.0, 2.0, 8.0))
    assert [measured(n) for n in (1, 2, 3, 6, 8, 10)] == [1.0, 1.0, 1.5, 5.0, 8.0, 11.0]
    costs = flat(square=0.25, embed=(1.0, 2.0, 3.0))
    again = Costs.read(json.loads(json.dumps(costs.to_dict())))
    step = Step(3, 21, 200, 1, 7, 1, 7)
    assert again.step(step) == costs.step(step)


def test_prices_are_found_again():
    pytest.importorskip("scipy")
    draw = np.random.default_rng(0)
    counts = draw.integers(1, 50, (200, 3))
    assert priced(counts, counts @ [3.0, 0.0, 0.5]) == pytest.approx([3.0, 0.0, 0.5], abs=1e-9)


def test_a_machine_whose_speed_changes_is_followed():
    step = Step(rows=1, tokens=4, squares=16)  # costs 4
    taken = [Timed(step, 0.1, 4.0), Timed(step, 0.9, 8.0), Timed(step, 2.5, 40.0)]
    paced = Paced.following(flat(), taken, 1.0)
    assert paced.paces == (1.5, 1.5, 10.0)  # nothing was seen in the second window
    assert [paced.step(step, at) for at in (0.0, 1.99, 2.0, 99.0)] == [6, 6, 40, 40]
    always = Paced(flat(entry=1.0), (3.0,))
    assert (always.step(step, 7.0), always.entry) == (12, 3)
