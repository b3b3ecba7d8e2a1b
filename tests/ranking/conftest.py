"""A tiny cross-encoder whose scores settle, and lists for it."""

import pytest

from elbert import Classifier
from ranking_lists import write_ranker


@pytest.fixture(scope="session")
def ranker_folder(tmp_path_factory):
    return write_ranker(tmp_path_factory.mktemp("ranker") / "model")


@pytest.fixture(scope="session")
def ranker(ranker_folder):
    return Classifier.load(ranker_folder, dtype="float32", threads=1, max_rows=16)
