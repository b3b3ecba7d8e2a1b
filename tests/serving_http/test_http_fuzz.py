"""Any request gets an answer or an error in JSON with two keys, and never an internal fault."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_http_shapes import bodies

from elbert.serving.http.errors import STATUS

ROUTES = ["/predict", "/", "/v1/classify", "/v2/models/tiny/infer"]
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sound(answer):
    status, heads, body = answer
    assert status != 500
    if status == 200:
        assert isinstance(body, list | dict)
        return
    assert status in STATUS.values()
    assert heads["content-type"] == "application/json"
    assert sorted(body) == ["error", "error_type"]
    assert STATUS[body["error_type"]] == status
    assert len(body["error"]) <= 500
    assert body["error"].isprintable()


@pytest.mark.parametrize("route", ROUTES)
@quick
@given(body=bodies)
def test_any_json(live, route, body):
    sound(live.post(route, json.dumps(body).encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("route", ROUTES)
@quick
@given(body=st.binary(max_size=200))
def test_any_bytes(live, route, body):
    sound(live.post(route, body))


@quick
@given(text=st.text(max_size=60), pair=st.none() | st.text(max_size=60), policy=st.none() | st.text(max_size=40))
def test_any_text(live, text, pair, policy):
    body = {"inputs": [text if pair is None else {"text": text, "text_pair": pair}], "policy": policy}
    sound(live.post("/v1/classify", body))
    sound(live.post("/predict", {"inputs": text}))


@quick
@given(
    path=st.text(st.characters(exclude_characters="#", min_codepoint=33, max_codepoint=126), max_size=30),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"]),
)
def test_any_path(live, path, method):
    status, _, _ = answer = live.call(method, "/x" + path)
    assert status == 404
    sound(answer)
