import pytest
import torch

from elbert.classifier import Classifier
from tiny import write_bundle

KINDS = {
    "two": {},
    "many": {"labels": tuple(f"topic {i}" for i in range(12))},
    "multi": {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"},
    "mean": {"pooling": "mean", "num_hidden_layers": 5},
    "inner": {"inner_group_num": 2, "num_hidden_groups": 2, "num_hidden_layers": 4},
    "heads": {"exit_heads": 2},
    "value": {"labels": ("value",), "problem_type": "regression", "num_labels": 1},
    "shallow": {"num_hidden_layers": 1},
}


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """Tiny models are slower on many threads, and much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A tiny model of every kind."""
    root = tmp_path_factory.mktemp("explained")
    points = {"version": 1, "default": None, "points": {"early": {"policy": "entropy(0.9)"}}}
    return {kind: write_bundle(root / kind, seed=3, points=points, **changes) for kind, changes in KINDS.items()}


@pytest.fixture(scope="session")
def classifiers(folders):
    return {kind: Classifier.load(folder) for kind, folder in folders.items()}
