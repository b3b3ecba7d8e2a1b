"""What an exported file must say: the torch backend's logits at every depth, and policies replayed over them."""

from dataclasses import dataclass

import numpy as np
import torch

from elbert.classifier import Classifier
from elbert.exits import policy as read
from elbert.exits import replay_exits
from elbert.export.session import pad_batch

CLOSE = 1e-4  # of logits
TIE = 1e-6  # of probabilities: what rounding may move them by
KINDS = {
    "full": "full",
    "depth": "depth(3)",
    "last depth": "depth(6)",
    "entropy": "entropy(0.4)",
    "confidence": "confidence(0.8)",
    "gap": "gap(0.6)",
    "patience": "patience(2)",
    "no patience": "patience(0)",
    "patient confidence": "patient_confidence(2, 0.7)",
    "divergence": "divergence(2, 0.02)",
    "agree": "window(entropy=0.1, size=3, margin=0.1)",
    "trend": "window(entropy=0.1, size=3, rule=trend, margin=0.1)",
    "stable": "window(entropy=0.05, size=3, rule=stable, range=0.1)",
    "window of one": "window(entropy=0.05, size=1, rule=stable, margin=0.2)",
    "longer than the model": "window(entropy=0.1, size=9, rule=trend)",
    "union": "patience(3) | entropy(0.2) | depth(5)",
    "two of a kind": "patient_confidence(3, 0.8) | patient_confidence(1, 0.2) | divergence(1, 0.001)",
    "depths": "depth(5) | depth(2)",
    "tempered": "tempered(window(entropy=0.2, size=3, rule=trend), 1.7, 0.6, 1.2)",
    "tempered union": "tempered(entropy(0.2) | tempered(divergence(1, 0.01), 0.5), 2.0) | patience(3)",
}


@dataclass
class Twin:
    """A classifier in float32, texts' tokens, and the logits ``[texts, depths, classes]`` that it has for them."""

    classifier: Classifier
    tokens: list
    logits: np.ndarray

    @classmethod
    def of(cls, folder, texts):
        classifier = Classifier.load(folder, dtype="float32", threads=1)
        tokens = classifier.tokeniser.encode(texts)
        return cls(classifier, tokens, all_logits(classifier.backend, tokens))

    @property
    def probabilities(self):
        return self.classifier.bundle.config.probabilities(torch.from_numpy(self.logits)).numpy()

    def expect(self, answers, spec):
        """Labels, depths, reasons and logits are the twin's; where a signal ties with its threshold, either's."""
        policy, multi = read(spec), self.classifier.bundle.config.multi_label
        depth, reasons = replay_exits(self.probabilities, policy, multi_label=multi)
        names = [*policy.reasons, "last"]
        reason_names = [names[i] for i in answers.reason]
        moved = [i for i in range(len(depth)) if (answers.depth[i], reason_names[i]) != (depth[i], reasons[i])]
        assert len(moved) <= max(1, 0.01 * len(depth))
        for i in moved:
            assert (answers.depth[i], reason_names[i]) in nearby(self.probabilities[i], policy, multi)
        own = self.logits[np.arange(len(depth)), answers.depth - 1]
        assert np.abs(answers.logits - own).max() <= CLOSE
        apart = answers.logits.argmax(-1) != own.argmax(-1)
        assert np.ptp(np.sort(own[apart], -1)[:, -2:], -1).max(initial=0) <= CLOSE
        return depth, reasons


def all_logits(backend, tokens):
    from elbert.model import Layout

    found = np.zeros((len(tokens), backend.config.depths, len(backend.config.labels)), np.float32)
    for start in range(0, len(tokens), 64):
        some = tokens[start : start + 64]
        layout = Layout.from_lengths([len(t.ids) for t in some])
        ids = torch.tensor([i for t in some for i in t.ids])
        types = torch.tensor([i for t in some for i in t.type_ids])
        with torch.inference_mode():
            hidden = backend.embed(ids, types, layout)
            for depth in range(backend.config.depths):
                hidden = backend.step(hidden, layout, 0)
                found[start : start + len(some), depth] = backend.read(hidden, layout, 0).numpy()
    return found


def nearby(probabilities, policy, multi_label):
    """The exits of one row whose probabilities are off by what rounding may do."""
    noise = np.random.default_rng(0).uniform(1 - TIE, 1 + TIE, (200, *probabilities.shape))
    return set(zip(*replay_exits((probabilities * noise).astype(np.float32), policy, multi_label=multi_label)))


def mixed(session, tokens, rows, **dials):
    """Answers in the tokens' own order, batches of ``rows`` whatever their lengths, so that most rows are padded."""
    dial_inputs = {name: np.array(v, np.int64 if isinstance(v, int) else np.float32) for name, v in dials.items()}
    parts = [session(pad_batch(tokens[start : start + rows]) | dial_inputs) for start in range(0, len(tokens), rows)]
    return type(parts[0])(*(np.concatenate(c) for c in zip(*((p.logits, p.depth, p.reason) for p in parts))))
