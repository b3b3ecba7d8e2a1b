"""Promise 3: open-loop load at half, all, twice and five times of what the server can do.

Requests come when they are due, whatever became of those before. Nothing here asserts how fast the machine is: rates
are multiples of a measured capacity, and times are compared with each other.
"""

import asyncio
import re
import statistics
from collections import Counter

import pytest
from live import ROOT, serving

from elbert import Classifier
from serving_peers.openloop import closed_loop, open_loop, poisson
from serving_peers.wire import get, post

REVIEWS = (ROOT / "examples" / "reviews.txt").read_text().splitlines()
TEXTS = [" ".join((REVIEWS + REVIEWS)[i : i + 4]) for i in range(len(REVIEWS))]  # long: the model costs more than HTTP
MOST = 24  # requests in progress
SECONDS, DEADLINE = 2.0, 0.5
FLAGS = ("--operating-point", "full", "--dtype", "float32", "--threads", 1, "--max-concurrent-requests", MOST)


@pytest.fixture(scope="module")
def server():
    with serving(*FLAGS) as live:
        yield live


@pytest.fixture(scope="module")
def capacity(server):
    """Answers a second that the server reaches when it never runs dry."""
    rate, _ = asyncio.run(closed_loop(server.port, asking(), MOST // 2, 2.0))
    return rate


@pytest.fixture(scope="module")
def right():
    """What the texts' scores are, one at a time."""
    classifier = Classifier.load(policy="full", dtype="float32", threads=1)
    return [classifier.predict([text])[0].scores for text in TEXTS]


def asking(**more):
    bodies = [post("/v1/classify", {"inputs": [text], **more}) for text in TEXTS]
    return lambda number: bodies[number % len(TEXTS)]


def loaded(server, rate, seed, seconds=SECONDS, **more):
    answers = asyncio.run(open_loop(server.port, asking(**more), poisson(rate, seconds, seed)))
    by_status = {status: [a for a in answers if a.status == status] for status in {a.status for a in answers}}
    return answers, by_status


@pytest.mark.parametrize("times", [0.5, *(pytest.param(times, marks=pytest.mark.slow) for times in (1, 2)), 5])
def test_everybody_is_answered_once_and_right_or_refused_at_once(server, capacity, right, times):
    before = counted(server)
    # Five times as many for so long that those in progress are few of them, also on a slow machine.
    seconds = max(SECONDS, 8 * (MOST if times == 5 else 1) / (times * capacity))
    answers, found = loaded(server, times * capacity, 1, seconds)
    assert set(found) <= {200, 429}, Counter(a.status for a in answers)
    for answer in found[200]:
        (item,) = answer.response.json()["data"]
        assert item["error"] is None
        assert (item["depth"], item["reason"]) == (item["depths"], "last")
        assert item["scores"] == pytest.approx(right[answer.number % len(TEXTS)], abs=1e-3)
    for answer in found.get(429, ()):
        assert int(answer.response.headers["retry-after"]) >= 1
        assert answer.response.json()["error_type"] == "Overloaded"
    assert server.comes_to_rest()
    assert counted(server) - before == len(found[200]), "answers without a client, or sent twice"
    if times == 5:
        assert len(found[429]) > len(found[200])
        assert waited(found[429]) < waited(found[200]), "a refusal should not wait behind work"
        assert len(found[200]) > 0.3 * capacity * SECONDS, "refusing must not eat what answering needs"


@pytest.mark.parametrize("times", [0.5, 5])
def test_accepted_requests_keep_their_deadline(server, capacity, right, times):
    deadline = max(DEADLINE, 4 / capacity)  # a machine that answers a few texts a second cannot promise half of one
    seconds = max(SECONDS, 8 / (times * capacity))  # some requests at least
    _, found = loaded(server, times * capacity, 2, seconds, deadline_ms=1000 * deadline)
    assert 200 in found
    assert set(found) <= {200, 429}
    items = [answer.response.json()["data"][0] for answer in found[200]]
    assert {item["reason"] for item in items} <= {"last", "deadline"}
    assert all(1 <= item["depth"] <= item["depths"] for item in items)
    assert all((item["depth"] == item["depths"]) == (item["reason"] == "last") for item in items)
    late = [answer for answer in found[200] if answer.received - answer.sent > 3 * deadline]
    assert len(late) <= 0.05 * len(found[200]), "generous, for a machine that does other things too"
    assert server.comes_to_rest()


def waited(answers):
    return statistics.median(answer.received - answer.sent for answer in answers)


def counted(server):
    """How many texts the server says that it answered."""
    (answer,) = server.ask(get("/metrics"))
    lines = re.findall(r"^te_predict_success(?:\{[^}]*\})? ([\d.e+]+)$", answer.body.decode(), re.M)
    assert lines
    return sum(map(float, lines))
