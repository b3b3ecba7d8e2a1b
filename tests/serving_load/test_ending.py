"""Promise 5: SIGTERM loses no accepted request; and the state after a server was killed."""

import asyncio
import signal
from contextlib import closing

import pytest
from live import eventually, free_port, serving

from serving_peers.openloop import open_loop, poisson
from serving_peers.wire import Pool, get, post
from tiny import write_bundle

LONG = " ".join(["this is not a very good film but it was often charming and the ending was warm"] * 8)
BATCH = 4
REQUEST = post("/v1/classify", {"inputs": [LONG] * BATCH, "policy": "full"})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("ending") / "tiny")


@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_server_stopped_under_load_answers_every_accepted_request(how):
    with serving("--dtype", "float32", "--threads", 1, "--max-concurrent-requests", 64) as server:
        answers, under_way = asyncio.run(stopped_under_load(server, how))
        assert server.ended() == 0
    assert under_way > 0, "the load was too light to prove anything"
    # 429 and 503 were not accepted; 0 is a connection after the socket was closed
    assert {answer.status for answer in answers} <= {200, 429, 503, 0}
    done = [answer for answer in answers if answer.status == 200]
    stopped = [answer for answer in answers if answer.status == 0]
    assert done
    for answer in done:
        items = answer.response.json()["data"]
        assert [item["index"] for item in items] == list(range(BATCH))
        assert all(item["error"] is None and item["depth"] == item["depths"] for item in items)
    last = max(answer.sent for answer in done)
    assert all(answer.sent > last for answer in stopped), "accepted, and lost"


async def stopped_under_load(server, how):
    """Load for a while, the signal in its midst; what became of the requests, and how many texts were there."""
    load = asyncio.create_task(open_loop(server.port, lambda _: REQUEST, poisson(60, 2.0, seed=3)))
    await asyncio.sleep(1.0)
    under_way = (await asyncio.to_thread(server.info))["under_way"]
    server.process.send_signal(how)
    return await load, under_way


def test_a_server_that_stops_is_not_ready_while_it_still_answers():
    with serving("--dtype", "float32", "--threads", 1, "--max-batch-tokens", 2**16) as server:
        before, after, answers = asyncio.run(stopped_at_work(server))
        assert (before, after) == (200, 503)
        assert answers == [200] * 4
        assert server.ended() == 0


async def stopped_at_work(server):
    """Readiness before the signal and after, and the results of requests in progress."""
    many = post("/v1/classify", {"inputs": [LONG] * 16, "policy": "full"})
    with closing(Pool(server.port)) as pool, closing(Pool(server.port)) as other:
        waiting = [asyncio.create_task(pool.ask(many)) for _ in range(4)]
        before = await other.ask(get("/ready"))
        await asyncio.sleep(0.2)
        server.terminate()
        while (after := (await other.ask(get("/ready"))).status) == 200:
            await asyncio.sleep(0.01)
        return before.status, after, [(await answer).status for answer in waiting]


def test_a_port_can_be_had_again_after_kill_9_and_a_server_without_load_ends_at_once(tiny):
    port = free_port()
    with serving("--model-id", tiny, port=port) as server:
        server.ask(post("/predict", {"inputs": "a film"}))
        server.process.kill()
        assert server.ended() == -signal.SIGKILL
    with serving("--model-id", tiny, port=port) as again:
        (answer,) = again.ask(post("/predict", {"inputs": "a film"}))
        assert answer.status == 200
        again.terminate()
        assert eventually(lambda: again.process.poll() is not None)
        assert again.ended() == 0
