"""Metrics: TEI's names, all at 0 before anything happens, everything counted once."""

import io
import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_server import Live, tiny_classifier, until
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from elbert.serving.http import HttpSettings, Metrics
from elbert.serving.http.logs import FIELDS, JsonLines, logging_to
from elbert.serving.http.metrics import SECONDS, SIZES, PlainHistogram, WithoutCreated, metric_label
from elbert.serving.http.middleware import log_exchange
from tiny import texts

TEI = [
    'te_request_count{method="single"}',
    'te_request_count{method="batch"}',
    'te_request_success{method="single"}',
    'te_request_success{method="batch"}',
    'te_request_failure{err="validation"}',
    'te_request_failure{err="tokenizer"}',
    'te_request_failure{err="backend"}',
    'te_request_failure{err="overloaded"}',
    'te_request_failure{err="unhealthy"}',
    'te_request_failure{err="empty"}',
    "te_predict_count",
    "te_predict_success",
    "te_queue_size",
    "te_request_duration_count",
    "te_request_tokenization_duration_count",
    "te_request_queue_duration_count",
    "te_request_inference_duration_count",
    "te_predict_duration_count",
    "te_request_input_length_count",
    "te_batch_next_size_count",
    "te_batch_next_tokens_count",
]
OURS = [
    "elbert_exit_depth_count",
    'elbert_exit_total{reason="entropy"}',
    'elbert_exit_total{reason="window"}',
    'elbert_exit_total{reason="last"}',
    'elbert_exit_total{reason="deadline"}',
    "elbert_batch_depths_count",
    "elbert_layer_tokens_total",
    "elbert_shadow_dropped",
    'elbert_shadow_texts{point="safe"}',
    'elbert_shadow_differing{point="safe"}',
    'elbert_shadow_lower{point="safe"}',
]


@pytest.fixture
def fresh():
    with Live(http=HttpSettings("tiny")) as server:
        yield server


def test_every_series_is_there_from_the_start(fresh):
    counts = fresh.counts()
    assert {name: counts[name] for name in [*TEI, *OURS]} == dict.fromkeys([*TEI, *OURS], 0)
    assert counts['elbert_operating_point{point="safe"}'] == 1
    assert counts['elbert_operating_point{point="fast"}'] == 0
    assert counts['elbert_shadow_upper{point="safe"}'] == 1
    assert not [name for name in counts if "_created" in name]
    assert counts["elbert_ready"] == counts["elbert_healthy"] == 1


def test_prometheus_can_read_it(fresh):
    fresh.post("/predict", {"inputs": "a good film"})
    families = {family.name: family for family in text_string_to_metric_families(fresh.metrics_text())}
    assert families["te_request_duration"].type == "histogram"
    assert families["elbert_exit_depth"].type == "histogram"
    assert families["te_queue_size"].type == "gauge"
    assert fresh.get("/metrics")[1]["content-type"].startswith("text/plain; version=0.0.4")


def test_everything_counts_once(fresh):
    sentences = [text for text in texts(12, seed=2) if text]
    expected = tiny_classifier().predict(sentences)
    tokens = [len(row.ids) for row in tiny_classifier().tokeniser.encode(sentences)]
    batch, alone = sentences[:-1], sentences[-1]
    fresh.post("/predict", {"inputs": [[text] for text in batch]})
    fresh.post("/predict", {"inputs": alone})
    fresh.post("/predict", {"inputs": ""})
    fresh.post("/predict", {"inputs": 3})
    fresh.post("/v1/classify", b"{")
    fresh.get("/nowhere")
    counts = fresh.counts()
    assert counts['te_request_count{method="batch"}'] == counts['te_request_success{method="batch"}'] == 1
    assert counts['te_request_count{method="single"}'] == 4
    assert counts['te_request_success{method="single"}'] == 1
    failed = {name: value for name, value in counts.items() if name.startswith("te_request_failure") and value}
    assert failed == {f'te_request_failure{{err="{kind}"}}': 1 for kind in ("empty", "validation", "malformed")}
    n = len(sentences)
    assert [counts[f"te_predict_{name}"] for name in ("count", "success", "duration_count")] == [n] * 3
    assert (counts["te_request_input_length_count"], counts["te_request_input_length_sum"]) == (n, sum(tokens))
    assert (counts["elbert_exit_depth_count"], counts["elbert_exit_depth_sum"]) == (n, sum(p.depth for p in expected))
    for reason in ("entropy", "last"):
        assert counts[f'elbert_exit_total{{reason="{reason}"}}'] == sum(p.reason == reason for p in expected)
    layer_tokens = sum(p.depth * size for p, size in zip(expected, tokens))
    assert counts["elbert_layer_tokens_total"] == counts["te_batch_next_tokens_sum"] == layer_tokens
    assert counts["te_batch_next_size_sum"] == sum(p.depth for p in expected)
    assert counts["te_request_duration_count"] == counts["te_request_queue_duration_count"] == 2
    assert counts["te_queue_size"] == counts["elbert_under_way"] == 0


def test_shadow_traffic_is_seen_and_not_counted_as_requests():
    with Live(http=HttpSettings("tiny"), shadow=1.0) as server:
        server.post("/predict", {"inputs": [["a good film"], ["it was dull"], ["the plot is slow"]]})
        until(lambda: server.counts()['elbert_shadow_texts{point="safe"}'] == 3)
        counts = server.counts()
        assert counts["te_predict_count"] == counts["elbert_exit_depth_count"] == 3
        assert 0 <= counts['elbert_shadow_lower{point="safe"}'] <= counts['elbert_shadow_upper{point="safe"}'] <= 1
        assert counts["elbert_shadow_share"] == 1


def test_the_queue_is_live(fresh):
    with fresh.held(), fresh.connect("POST", "/predict", b'{"inputs": "a good film"}') as place:
        until(lambda: fresh.counts()["elbert_under_way"] == 1)
        fresh.backend.open.set()
        assert b"200" in place.recv(20)
    assert fresh.counts()["elbert_under_way"] == 0


@given(st.lists(st.floats(0, 40) | st.integers(0, 20000), max_size=40))
def test_histograms_are_prometheus_own(values):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    for bounds in (SECONDS, SIZES):
        name = f"h{len(bounds)}"
        quick = PlainHistogram(ours, name, "help", bounds)
        slow = Histogram(name, "help", registry=theirs, buckets=bounds)
        for value in values:
            quick.observe(value)
            slow.observe(value)
    assert generate_latest(ours) == generate_latest(WithoutCreated(theirs))


def test_registries_are_ones_own():
    from prometheus_client import REGISTRY

    before = {metric.name for metric in REGISTRY.collect()}
    Metrics(tiny_classifier())
    Metrics(tiny_classifier())
    assert {metric.name for metric in REGISTRY.collect()} == before
    assert metric_label("PayloadTooLarge") == "payload_too_large"


@pytest.fixture
def lines():
    stream = io.StringIO()
    with logging_to(stream, as_json=True):
        yield lambda: [msgspec.json.decode(line) for line in stream.getvalue().split("\n")[:-1]]


def test_requests_are_logged_as_json_a_line_each(lines, fresh):
    fresh.post("/v1/classify", {"inputs": ["a good film", "dull"], "policy": "fast"}, x_request_id="one")
    fresh.post("/predict", {"inputs": ""}, x_request_id="two")
    fresh.get("/a%0Ab%22", x_request_id="three")
    # The line comes when the answer has been sent, and the client may be quicker.
    requests = until(lambda: len(found := [line for line in lines() if line["message"] == "request"]) == 3 and found)
    by_id = {line["request_id"]: line for line in requests}
    one = by_id["one"]
    assert (one["route"], one["method"], one["status"], one["texts"], one["depths"]) == (
        "/v1/classify",
        "POST",
        200,
        2,
        [2, 2],
    )
    assert one["tokens"] == 8
    assert one["ms"] > 0
    assert {"time", "level"} <= one.keys()
    assert (by_id["two"]["status"], by_id["two"]["error_type"]) == (400, "Empty")
    assert (by_id["three"]["status"], by_id["three"]["route"]) == (404, '/a\nb"')


def test_whatever_is_logged_is_one_line_of_json():
    record = logging.LogRecord("a", logging.INFO, "f", 1, "lone \ud800 line\nend %s", ("x",), None)
    setattr(record, FIELDS, {"odd": {1, 2}, "text": "\ud800"})
    line = JsonLines().format(record)
    assert "\n" not in line
    assert msgspec.json.decode(line)["message"].endswith("line\nend x")
    try:
        raise ValueError("inside")
    except ValueError:
        import sys

        record = logging.LogRecord("a", logging.ERROR, "f", 1, "m", (), sys.exc_info())
    assert "ValueError: inside" in msgspec.json.decode(JsonLines().format(record))["exception"]


def test_nothing_is_logged_at_the_level_of_warnings(caplog):
    from elbert.serving.http.middleware import Exchange

    with caplog.at_level(logging.WARNING):
        log_exchange(Exchange("x"))
    assert not caplog.records
