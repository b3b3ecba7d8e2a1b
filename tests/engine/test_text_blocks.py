"""Texts read ahead are bounded by their number and by their characters."""

import threading
import time
from pathlib import Path

import pytest

from elbert.engine import TextReader, offline
from elbert.tokenization import Tokeniser

BUNDLED = Path(offline.__file__).parents[1] / "bundled"


@pytest.fixture(scope="module")
def tokeniser():
    return Tokeniser.load(BUNDLED, 64)


def read_all(reader):
    blocks = []
    while not reader.has_ended:
        blocks.append(reader.read_block())
    return blocks


def test_a_block_ends_at_its_characters(tokeniser, monkeypatch):
    monkeypatch.setattr(offline, "BLOCK_CHARACTERS", 1000)
    texts = ["good " * 60, ("bad " * 50, "film " * 50), "a", "good " * 500, "b", "c"]
    blocks = read_all(TextReader(texts, tokeniser))
    assert [len(block) for block in blocks] == [3, 3, 0] or [len(block) for block in blocks] == [4, 2, 0]
    assert [row for block in blocks for row in block] == tokeniser.encode(texts)


def test_a_block_ends_at_its_number_of_texts(tokeniser, monkeypatch):
    monkeypatch.setattr(offline, "BLOCK", 4)
    assert [len(block) for block in read_all(TextReader(["a"] * 10, tokeniser))] == [4, 4, 2, 0]


def test_a_live_stream_is_read_ahead_by_characters(tokeniser, monkeypatch):
    monkeypatch.setattr(offline, "BLOCK_CHARACTERS", 1000)
    taken, waits = [], threading.Event()

    def source():
        for number in range(50):
            taken.append(number)
            yield "good " * 40
        waits.set()

    reader = TextReader(source(), tokeniser, live=True)
    deadline = time.monotonic() + 20
    while len(taken) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(taken) == 6  # five fill the characters, and one waits to be added
    assert not waits.is_set()
    assert sum(len(block) for block in read_all(reader)) == 50
    reader.close()
