"""Promises 1, 2 and 6 under random arrivals, cancellations, deadlines and faults, on a fake clock."""

import logging

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from troubled import COUNT, Parts, reference, tiny_classifier

from elbert.exits import policy, replay_exits
from elbert.serving.errors import BackendFailure, NotReady, Overloaded

SPECS = ["safe", "fast", "full", "patience(2)", "entropy(0.4) | depth(5)"]


class Traffic(RuleBasedStateMachine):
    """Clients connect and disconnect, backends fail: an accepted text is answered once, or its client disconnected."""

    def __init__(self):
        super().__init__()
        logging.disable(logging.ERROR)
        self.parts = Parts()
        self.parts.run_once()  # builds the engines
        self.requests = []  # (rows, numbers, spec, received by index, cancelled)

    def teardown(self):
        try:
            self.everybody_is_answered_in_the_end()
        finally:
            logging.disable(logging.NOTSET)

    @rule(
        numbers=st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=5),
        spec=st.sampled_from(SPECS),
        deadline=st.none() | st.floats(0.1, 10),
        trace=st.booleans(),
        raw=st.booleans(),
    )
    def client_asks(self, numbers, spec, deadline, trace, raw):
        received, disconnected = {}, []

        def deliver(item):
            assert item.index not in received, "answered twice"
            assert not disconnected, "answered after the client disconnected"
            received[item.index] = item

        before = (self.parts.admission.texts, self.parts.admission.layer_tokens)
        try:
            rows = self.parts.submit(numbers, deliver, spec, deadline, trace, raw)
        except (Overloaded, NotReady):
            assert before == (self.parts.admission.texts, self.parts.admission.layer_tokens)
            return
        self.requests.append((rows, numbers, spec, received, disconnected, trace, raw))

    @rule()
    def the_worker_turns(self):
        self.parts.run_once()

    @rule(which=st.integers(0, 50))
    def client_goes_away(self, which):
        if not self.requests:
            return
        rows, _, _, received, disconnected, *_ = self.requests[which % len(self.requests)]
        self.parts.dispatcher.cancel(rows)
        disconnected.append(True)
        self.parts.run_once()
        engines = self.parts.worker._engines
        here = {identity for engine in engines.all for identity in engine._requests} if engines else set()
        assert here.isdisjoint(row.identity for row in rows), "its places are still taken"

    @rule(calls=st.integers(1, 5))
    def the_layer_fails(self, calls):
        self.parts.backend.failing = calls

    @rule(calls=st.integers(1, 2))
    def the_layer_comes_to_nan(self, calls):
        self.parts.backend.nan = calls

    @rule()
    def the_engine_breaks(self):
        engines = self.parts.worker._engines
        if engines:

            def broken():
                raise SystemExit("pulled out from under")

            for engine in engines.all:
                engine.step = broken

    @rule(duration=st.floats(0.01, 5))
    def layers_take_longer(self, duration):
        self.parts.backend.duration = duration

    @rule(seconds=st.floats(0, 3))
    def time_passes(self, seconds):
        self.parts.clock.now += seconds

    @invariant()
    def accounts_are_exact(self):
        waiting = [
            row
            for rows, _, _, received, disconnected, *_ in self.requests
            for row in rows
            if not disconnected and row.index not in received
        ]
        assert len(self.parts.dispatcher) == self.parts.admission.texts == len(waiting)
        assert self.parts.admission.layer_tokens == sum(6 * len(row.tokens.ids) for row in waiting)
        assert self.parts.dispatcher.waiting <= len(waiting)

    def everybody_is_answered_in_the_end(self):
        self.parts.backend.failing = self.parts.backend.nan = 0
        for _ in range(500):
            if not len(self.parts.dispatcher):
                break
            self.parts.run_once()
        self.parts.run_once()
        self.accounts_are_exact()
        assert self.parts.admission.texts == self.parts.admission.layer_tokens == 0
        assert self.parts.worker._unreported == set()
        assert not len(self.parts.worker._engines or ())
        for rows, numbers, spec, received, disconnected, trace, raw in self.requests:
            assert disconnected or sorted(received) == list(range(len(rows)))
            for index, item in received.items():
                self.the_answer_is_right(item, numbers[index], spec, trace, raw)

    def the_answer_is_right(self, item, number, spec, trace, raw):
        if item.error is not None:
            assert isinstance(item.error, BackendFailure)
            return
        tokens, outputs = reference()
        chosen = policy(spec, {name: p.policy for name, p in tiny_classifier().bundle.points.items()})
        (depth,), (reason,) = replay_exits(outputs[number : number + 1], chosen)
        p = item.prediction
        assert (p.depth, p.reason) == (depth, reason) or (p.reason == "deadline" and 1 <= p.depth < depth)
        assert list(p.scores.values()) == pytest.approx(outputs[number, p.depth - 1], abs=1e-5)
        assert (item.logits is not None) == raw
        assert (p.trace is not None) == trace
        if trace:
            assert [s.scores[p.label] for s in p.trace] == pytest.approx(
                outputs[number, : p.depth, list(p.scores).index(p.label)], abs=1e-5
            )
        assert min(item.timings.queue, item.timings.inference) >= 0


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
