"""Promise 7: memory does not grow; and the detector that says so catches a server that keeps some kilobytes a text."""

import asyncio
import random
import time
from collections import Counter

import pytest
from detector import growth
from live import ROOT, SERVE, serving
from test_clients import crowd, hang_up

from serving_peers.openloop import each_once
from serving_peers.wire import get, post
from tiny import texts, write_bundle

LEAKY = (str(ROOT / "tests" / "serving_load" / "leaky.py"),)
TEXTS = [text or "a" for text in texts(200, seed=3)]
FLAGS = ("--shadow", 0.1, "--max-concurrent-requests", 256)
CONNECTIONS = 4
LIMIT = 1024  # bytes a text that may stay; the leaky server keeps more than four times as many


def test_the_detector_by_itself():
    noise = random.Random(0)
    flat = [10**9 + noise.randint(0, 10**6) for _ in range(100)]
    assert abs(growth(flat)) < 3000
    jumps = [value + 10**7 * (i > 50) + 10**7 * (i > 80) for i, value in enumerate(flat)]
    assert abs(growth(jumps)) < 10**7 / 20
    learning = [10**9 - 10**9 // (i + 1) for i in range(20)] + [10**9] * 80
    assert growth(learning) == 0
    leak = [value + 20_000 * i for i, value in enumerate(flat)]
    assert growth(leak) == pytest.approx(20_000, rel=0.2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("memory") / "tiny")


def test_memory_does_not_grow_and_a_leak_is_caught(tiny):
    """One text again and again: what oneDNN keeps for every size of a layer call is there soon; no more may stay."""
    some = TEXTS[5:6]
    assert stayed(SERVE, tiny, some, samples=16, requests=100) < LIMIT
    assert stayed(LEAKY, tiny, some, samples=8, requests=100) > LIMIT


@pytest.mark.slow
def test_soak(tiny):
    """Ten minutes of everything that can happen to a server; then a minute of a leak, which must be caught."""
    until = time.monotonic() + 600
    assert stayed(SERVE, tiny, TEXTS, samples=None, requests=500, until=until) < LIMIT / 4
    assert stayed(LEAKY, tiny, TEXTS, samples=20, requests=500) > LIMIT


def stayed(program, model, some, samples, requests, until=None):
    """Bytes that stay per text that was answered, while all sorts of clients come and go."""
    with serving("--model-id", model, "--warm-up", 5, *FLAGS, program=program) as server:
        held, answered = [], 0
        while len(held) < samples if samples else time.monotonic() < until:
            sent = [KINDS[n % len(KINDS)](some[(n // len(KINDS)) % len(some)]) for n in range(requests)]
            answers = asyncio.run(each_once(server.port, sent, CONNECTIONS))
            statuses = [answer.status for answer in answers]
            assert set(statuses) == {200, 400, 404, 422}, Counter(statuses)
            rude(server, some[:8])
            assert server.comes_to_rest()
            held.append(server.resident())
            answered += sum(TEXTS_OF[n % len(KINDS)] for n, status in enumerate(statuses) if status == 200)
        return growth(held) * len(held) / answered


KINDS = (
    lambda text: post("/predict", {"inputs": text}),
    lambda text: post("/", {"inputs": text, "parameters": {}}),
    lambda text: post("/predict", {"inputs": [[text], [text, "one"], ["a"]]}),
    lambda text: post("/v1/classify", {"inputs": [text, {"text": text, "text_pair": "one"}], "trace": True}),
    lambda text: post("/v1/classify", {"inputs": [text], "policy": "entropy(0.5)", "deadline_ms": 1000}),
    lambda text: post("/v1/classify", {"inputs": [text] * 4}, {"accept": "application/x-ndjson"}),
    lambda text: post("/predict", b'{"inputs": '),
    lambda text: post("/predict", {"inputs": [text, 1]}),
    lambda text: get("/metrics"),
    lambda text: get(f"/nowhere/{text[:20].replace(' ', '-')}"),
)
TEXTS_OF = (1, 1, 3, 2, 1, 4, 0, 0, 0, 0)  # how many each asks about


def rude(server, some):
    """Clients that ask for much and hang up."""
    with crowd(server, 4, post("/v1/classify", {"inputs": some})) as places:
        for place in places:
            hang_up(place)
