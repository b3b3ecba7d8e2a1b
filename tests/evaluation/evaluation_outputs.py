"""Outputs without a model, of which the answers are known."""

import numpy as np

from elbert.evaluation import Outputs

NAMES = ("a", "b", "c", "d")


def random_outputs(seed=0, n=200, depths=6, classes=3, problem="single_label_classification"):
    """Outputs whose depths drift, with labels that the later depths are likelier to get right."""
    rng = np.random.default_rng(seed)
    logits = np.cumsum(rng.normal(0, 0.9, (n, depths, classes)), axis=1)
    if problem == "single_label_classification":
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        labels = np.where(rng.random(n) < 0.6, p[:, -1].argmax(-1), rng.integers(0, classes, n))
    elif problem == "multi_label_classification":
        p = 1 / (1 + np.exp(-logits))
        labels = np.where(rng.random((n, classes)) < 0.7, p[:, -1] > 0.5, rng.random((n, classes)) < 0.5).astype(int)
    else:
        p, labels = logits, logits[:, -1, 0] + rng.normal(0, 1, n)
    tokens = rng.integers(2, 60, n)
    return Outputs(p.astype(np.float32), labels, tokens, NAMES[:classes], problem)
