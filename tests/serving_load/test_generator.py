"""The load generator and the benchmark's figures: what they say must be so before what they measure can be."""

import asyncio
import math

import live  # noqa: F401  # puts the benchmark's folder on the path
import pytest

from serving_peers.figures import medians, quantile, sustained
from serving_peers.openloop import LOST, closed_loop, each_once, open_loop, poisson
from serving_peers.wire import Pool, get, post, unchunked


def test_arrivals_are_a_poisson_process():
    moments = poisson(100.0, 50.0, seed=1)
    assert moments == sorted(moments)
    assert moments[0] > 0 and moments[-1] < 50
    assert len(moments) == pytest.approx(5000, rel=0.05)
    gaps = [b - a for a, b in zip(moments, moments[1:])]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert spread == pytest.approx(mean, rel=0.1), "exponential gaps are as spread as they are long"
    assert poisson(100.0, 50.0, seed=1) == moments != poisson(100.0, 50.0, seed=2)


async def with_server(handle, then):
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        return await then(server.sockets[0].getsockname()[1])


def answering(answer, stall=0.0, at=None):
    """Answers requests with their own path; one of them makes everybody wait."""
    alone = asyncio.Lock()

    async def handle(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1]
                async with alone:
                    if path == at:
                        await asyncio.sleep(stall)
                writer.write(answer(path))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return handle


def plain(path):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path)


def test_a_stall_shows_in_every_request_that_was_due_in_it():
    """Coordinated omission would have one slow request here; there are as many as came in that time."""
    moments = [0.01 * n for n in range(100)]

    async def go():
        return await with_server(
            answering(plain, 0.5, b"/30"), lambda port: open_loop(port, lambda n: get(f"/{n}"), moments)
        )

    answers = asyncio.run(go())
    assert [answer.response.body for answer in answers] == [f"/{n}".encode() for n in range(100)]
    late = [answer.number for answer in answers if answer.latency > 0.1]
    assert set(range(30, 65)) <= set(late)
    assert answers[30].latency > answers[50].latency


def test_who_is_not_answered_is_lost_and_not_forgotten():
    def nothing(path):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12" if path == b"/1" else plain(path)

    async def go():
        return await with_server(
            answering(nothing), lambda port: open_loop(port, lambda n: get(f"/{n}"), [0.0, 0.0, 0.0], patience=0.5)
        )

    assert [answer.status for answer in asyncio.run(go())] == [200, LOST, 200]


def test_closed_loops_and_chunks():
    def chunked(path):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(path), path)
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body

    async def go(port):
        once = await each_once(port, [get(f"/{n}") for n in range(20)], 3)
        return once, await closed_loop(port, lambda n: get(f"/{n}"), 2, 0.2)

    async def both():
        return await with_server(answering(chunked), go)

    once, (rate, latencies) = asyncio.run(both())
    assert [response.body for response in once] == [f"/{n}".encode() for n in range(20)]
    assert rate > 0 and len(latencies) > 1


def test_pieces_of_an_answer():
    assert unchunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") == b"abcde"
    for end in range(20):
        assert unchunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n"[:end]) is None
    assert post("/a", {"b": "ü"}).endswith(b'\r\n\r\n{"b": "\\u00fc"}')


def test_a_connection_that_was_refused_is_an_error():
    async def go():
        pool = Pool(live.free_port())
        with pytest.raises(OSError):
            await pool.ask(get("/"))

    asyncio.run(go())


def test_percentiles():
    values = [float(n) for n in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)) == (50, 99, 100)
    assert quantile([7.0], 0.99) == 7
    assert quantile([], 0.5) == math.inf


def rate(value, p99, refused=0.0):
    return {"share": value, "rate": value, "p99_ms": p99, "refused": refused, "lost": 0.0}


def test_the_sustained_rate_lies_where_the_limit_is_passed():
    assert sustained([rate(100, 10), rate(200, 1000)], 100) == (pytest.approx(150), "")
    assert sustained([rate(200, 1000), rate(100, 10), rate(300, 5)], 100) == (pytest.approx(150), "")
    assert sustained([rate(100, 500)], 100) == (100, "below")
    assert sustained([rate(100, 10), rate(200, 20)], 100) == (200, "above")
    assert sustained([rate(100, 10), rate(200, 20, refused=0.5)], 100) == (200, "")


def test_medians_are_taken_rate_by_rate():
    rounds = [rate(1, p) for p in (5, 1, 3)] + [rate(2, p) for p in (10, 30, 20)]
    assert [(row["share"], row["p99_ms"]) for row in medians(rounds)] == [(1, 3), (2, 20)]
