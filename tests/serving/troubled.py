"""A fake clock, a backend with faults on demand, and the parts of a service without threads."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch

from elbert.classifier import Classifier
from elbert.engine import Capacity
from elbert.exits import policy
from elbert.serving.admission import Admission
from elbert.serving.dispatcher import Dispatcher, NullObserver, Row
from elbert.serving.point_selection import PointSelector
from elbert.serving.shadow import Shadow
from elbert.serving.worker import Engines, Worker
from tiny import texts, write_bundle

POINTS = {
    "version": 1,
    "default": "safe",
    "points": {
        "safe": {"policy": "entropy(0.4)", "measured": {"test": {"mean_depth": 4.0}}},
        "balanced": {"policy": "entropy(0.6)", "measured": {"mean_depth": 3.0}},
        "fast": {"policy": "depth(2)", "measured": {"mean_depth": 2.0}},
        "unmeasured": {"policy": "depth(3)"},
    },
}
COUNT = 12
CAPACITY = Capacity(4, 400)  # of the parts below


class FakeClock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Troubled:
    """A backend whose layer calls take ``duration`` seconds of the clock, and fail or return NaN on demand."""

    def __init__(self, backend, clock=None):
        self._backend, self._clock = backend, clock
        self.config, self.device = backend.config, backend.device
        self.duration, self.per_token, self.failing, self.nan, self.calls = 1.0, 0.0, 0, 0, 0
        self.before_step = None

    def embed(self, ids, type_ids, layout):
        return self._backend.embed(ids, type_ids, layout)

    def step(self, hidden, layout, group):
        self.calls += 1
        if self.before_step is not None:
            self.before_step()
        if self._clock is not None:
            self._clock.now += self.duration + self.per_token * layout.tokens
        if self.failing:
            self.failing -= 1
            raise RuntimeError("the layer fell over")
        hidden = self._backend.step(hidden, layout, group)
        if self.nan:
            self.nan -= 1
            hidden = torch.full_like(hidden, torch.nan)
        return hidden

    def read(self, hidden, layout, head):
        return self._backend.read(hidden, layout, head)


@functools.cache
def tiny_classifier():
    return Classifier.load(write_bundle(Path(tempfile.mkdtemp()) / "tiny", seed=1, points=POINTS), threads=1)


def troubled_classifier(clock=None):
    """The tiny classifier with a backend in trouble."""
    sound = tiny_classifier()
    backend = Troubled(sound.backend, clock)
    return Classifier(sound.bundle, sound.tokeniser, backend, sound.policy, max_rows=4, max_tokens=120, threads=1)


@functools.cache
def reference():
    """Tokenized texts, and their probabilities at each depth ``[n, depths, classes]``."""
    classifier = tiny_classifier()
    tokens = classifier.tokeniser.encode(texts(COUNT, seed=5))
    outputs = np.zeros((COUNT, 6, 2), np.float32)
    for exits in classifier.exits(tokens, policy("full"), keep_trace=True):
        outputs[exits.identity] = exits.trace
    return tokens, outputs


class Parts:
    """Worker, dispatcher and admission on one thread: :meth:`turn` is a turn of the worker."""

    def __init__(self, max_texts=20, max_layer_tokens=2000, share=0.0, capacity=CAPACITY):
        self.clock = FakeClock()
        self.capacity = capacity
        self.classifier = troubled_classifier(self.clock)
        self.backend = self.classifier.backend
        self.worker = Worker(self._engines, self._on_step, pause=0, clock=self.clock)
        self.points = PointSelector(self.classifier, self.clock)
        task = self.classifier.bundle.config.task
        self.shadow = Shadow(share, {"safe": None}, lambda rows: self.worker.submit(rows, idle=True), task)
        self.steps = []
        self.dispatcher = Dispatcher(
            self.worker, self.classifier.bundle.config, self.points, self.shadow, NullObserver(), self.clock
        )
        self.admission = Admission(max_texts, max_layer_tokens, self.clock)

    def _engines(self):
        (harmless,) = self.classifier.tokeniser.encode(["a"])
        return Engines(self.backend, self.capacity, harmless, self.clock)

    def _on_step(self, step):
        self.steps.append(step)
        self.dispatcher.process(step)

    def run_once(self):
        self.worker.run_once()

    def submit(self, numbers, deliver, spec="safe", deadline=None, trace=False, raw=False):
        """Rows of these reference texts; raises what the pipeline would."""
        tokens, _ = reference()
        return self.submit_tokens([tokens[n] for n in numbers], deliver, spec, deadline, trace, raw)

    def submit_tokens(self, tokens, deliver, spec="safe", deadline=None, trace=False, raw=False):
        """Rows of these tokens."""
        chosen = self.points.choose(spec)
        ticket = self.admission.admit(len(tokens))
        ticket.charge([len(t.ids) * 6 for t in tokens])
        due = None if deadline is None else self.clock.now + deadline
        rows = [Row(i, t, chosen, ticket, deliver, 0.0, self.clock.now, due, trace, raw) for i, t in enumerate(tokens)]
        try:
            self.dispatcher.submit(rows)
        except Exception:
            ticket.close()
            raise
        return rows
