import random
from pathlib import Path

import pytest

from elbert.tokenization import Tokeniser
from tiny import train_sentencepiece

ALBERT = Path(__file__).parents[2] / ".." / "shared" / "data" / "albert-spiece"
SENTENCE = "the film is a fine thing, and 12, 13, 2010, of them were bad (so bad) naive co-star caf resume it's"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A folder with nothing but a small spiece.model, trained here the way ALBERT's was."""
    draw, words = random.Random(7), SENTENCE.split()
    sentences = [" ".join(draw.choices(words, k=9)) for _ in range(400)]
    return train_sentencepiece(tmp_path_factory.mktemp("tiny"), sentences, vocab_size=90)


@pytest.fixture(scope="session")
def tiny(tiny_folder) -> Tokeniser:
    return Tokeniser.load(tiny_folder, max_length=64)


@pytest.fixture(scope="session")
def albert_folder() -> Path:
    """Google's spiece.model, with the repaired Hugging Face form beside it; it lies outside the repository."""
    return ALBERT
