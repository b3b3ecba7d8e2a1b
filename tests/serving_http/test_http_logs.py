"""The log under trouble, and a server whose model fails on every text."""

import io
import json
import logging
import warnings

import pytest
from live_server import Live

from elbert.serving.errors import BackendFailure, TooLong
from elbert.serving.http import HttpSettings, metrics
from elbert.serving.http.logs import PERIOD, REPEATS, RepeatLimit, logging_to
from elbert.serving.results import TextResult


def record(line=1, level=logging.ERROR, error=None):
    raised = None if error is None else (type(error), error, None)
    return logging.LogRecord("a", level, "file.py", line, "trouble %s", ("x",), raised)


def test_repeated_trouble_is_counted_not_logged():
    now = [0.0]
    limit = RepeatLimit(lambda: now[0])
    assert sum(limit.filter(record()) for _ in range(10_000)) == REPEATS
    assert sum(limit.filter(record(error=MemoryError())) for _ in range(100)) == REPEATS, "another kind"
    assert sum(limit.filter(record(line=2)) for _ in range(100)) == REPEATS, "another place"
    assert all(limit.filter(record(level=logging.INFO)) for _ in range(100)), "requests are no trouble"
    now[0] = PERIOD
    later = record()
    assert limit.filter(later)
    assert later.getMessage() == "trouble x (9,995 more like this one were not logged)"
    now[0] = 3 * PERIOD
    assert limit.filter(rare := record())
    assert rare.getMessage() == "trouble x"


@pytest.mark.parametrize("as_json", [True, False])
def test_the_servers_log_is_bounded(as_json):
    stream = io.StringIO()
    with logging_to(stream, as_json=as_json):
        for _ in range(1000):
            try:
                raise MemoryError
            except MemoryError:
                logging.getLogger("any").exception("no memory")
    assert stream.getvalue().count("MemoryError") <= 2 * REPEATS


def result(error):
    return TextResult(0, None, error, "safe", 3, False)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_warning_is_one_line_without_source_code(as_json):
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with logging_to(stream, as_json=as_json):
            warnings.warn("the point does not fit", UserWarning, stacklevel=1)
    (line,) = stream.getvalue().splitlines()
    assert (
        json.loads(line)["message"] == "the point does not fit" if as_json else line.endswith("the point does not fit")
    )
    assert ".py" not in line


def test_a_server_whose_model_fails_on_every_text_is_not_ready(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(metrics, "monotonic", lambda: now[0])
    with Live(http=HttpSettings("tiny")) as server:
        for _ in range(metrics.FAILING_TEXTS):
            assert server.get("/ready")[0] == 200
            server.metrics.on_result(result(TooLong("a client's fault")))
            server.metrics.on_result(result(BackendFailure("no memory")))
        status, _, answer = server.get("/ready")
        assert (status, answer["error_type"]) == (503, "Unhealthy")
        assert server.get("/v2/health/ready")[0] == 503
        assert server.get("/health")[0] == 200, "a restart is not what helps"
        now[0] += metrics.RETRY_SECONDS
        assert server.get("/ready")[0] == 200, "the next texts show whether it works"
        server.metrics.on_result(result(BackendFailure("no memory")))
        assert server.get("/ready")[0] == 503
        assert server.post("/predict", {"inputs": "a good film"})[0] == 200
        assert server.get("/ready")[0] == 200
