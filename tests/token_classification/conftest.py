import random

import pytest

from elbert import Classifier
from elbert.evaluation import collect
from taggers import write_tagger

PIECES = ["the", "a", "film", "movie", "unknown", "plot,", "good.", "bad", "i", "Love", "journey!", "warm"]


def draw_texts(n, longest=14, seed=0):
    generator = random.Random(seed)
    return [" ".join(generator.choice(PIECES) for _ in range(generator.randint(1, longest))) for _ in range(n)]


@pytest.fixture(scope="session")
def tagger(tmp_path_factory):
    """A folder."""
    return write_tagger(tmp_path_factory.mktemp("tagger") / "model")


@pytest.fixture(scope="session")
def classifier(tagger):
    """Few rows in a call, so that rows of many depths meet."""
    return Classifier.load(tagger, "full", dtype="float32", max_rows=5, threads=1)


@pytest.fixture(scope="session")
def texts():
    """Among them one without words, one word, and the longest that the model reads."""
    return [*draw_texts(25), "", " ", "film", " ".join(["film"] * 62)]


@pytest.fixture(scope="session")
def outputs(classifier, texts):
    return collect(classifier, texts, None)
