"""Hugging Face's own client against the server, unchanged; and the shapes that it does not send but others do."""

import pytest
from huggingface_hub import InferenceClient
from live_server import Live, softmax, tiny_classifier

from elbert.serving.http import HttpSettings

TEXT = "a good film"


@pytest.fixture(autouse=True, scope="module")
def reachable():
    """The tests' conftest keeps the hub's library off the network; here it may reach this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield


@pytest.fixture(scope="module")
def client(live):
    return InferenceClient(base_url=live.url)


def test_the_client_gets_every_label(client):
    [expected] = tiny_classifier().predict([TEXT])
    found = client.text_classification(TEXT)
    assert [e.label for e in found] == sorted(expected.scores, key=expected.scores.get, reverse=True)
    assert {e.label: e.score for e in found} == pytest.approx(dict(expected.scores), abs=1e-5)


def test_the_client_gets_as_many_as_it_asks_for(client):
    assert len(client.text_classification(TEXT, top_k=1)) == 1
    assert len(client.text_classification(TEXT, top_k=99)) == 2


def test_the_client_chooses_the_function(client):
    logits = [e.score for e in client.text_classification(TEXT, function_to_apply="none")]
    soft = [e.score for e in client.text_classification(TEXT, function_to_apply="softmax")]
    sigmoid = [e.score for e in client.text_classification(TEXT, function_to_apply="sigmoid")]
    assert soft == pytest.approx(softmax(logits).tolist(), abs=1e-5)
    assert sum(sigmoid) != pytest.approx(1.0)


def test_the_client_hears_why_not(client):
    from huggingface_hub.errors import HfHubHTTPError

    with pytest.raises(HfHubHTTPError, match="422"):
        client.text_classification(TEXT, top_k=0)


def test_the_client_brings_its_key():
    with Live(http=HttpSettings(api_key="secret")) as locked:
        assert len(InferenceClient(base_url=locked.url, token="secret").text_classification(TEXT)) == 2
        from huggingface_hub.errors import HfHubHTTPError

        with pytest.raises(HfHubHTTPError, match="401"):
            InferenceClient(base_url=locked.url, token="wrong").text_classification(TEXT)


def test_two_texts_are_two_texts(live):
    status, _, answer = live.post("/", {"inputs": [TEXT, "it was dull"], "parameters": {}})
    assert (status, len(answer)) == (200, 2)
    [pair] = live.post("/", {"inputs": {"text": TEXT, "text_pair": "it was dull"}, "parameters": {}})[2]
    [same] = live.post("/", {"inputs": [[TEXT, "it was dull"]], "parameters": {}})[2]
    flat = live.post("/predict", {"inputs": [TEXT, "it was dull"]})[2]
    assert [e["score"] for e in pair] == pytest.approx([e["score"] for e in same], abs=1e-6)
    assert [e["score"] for e in pair] == pytest.approx([e["score"] for e in flat], abs=1e-6)


def test_a_parameter_that_is_unknown_is_named_with_the_closest(live):
    status, _, answer = live.post("/", {"inputs": TEXT, "parameters": {"topk": 1}})
    assert status == 422
    assert answer["error"].startswith("parameters: unknown field 'topk', closest to 'top_k'; a request is {")


@pytest.mark.parametrize("route", ["/", "/invocations"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": "a", "parameters": {"top_k": 2.0}}, 200),
        ({"inputs": "a", "parameters": {"top_k": None, "function_to_apply": None}}, 200),
        ({"inputs": "a", "parameters": {"candidate_labels": ["a", "b"]}}, 422),
        ({"inputs": "a", "parameters": {"top_k": 1, "other": None}}, 422),
        ({"inputs": "a", "parameters": {"top_k": 10**300}}, 200),
        ({"inputs": "a", "parameters": {"top_k": -1}}, 422),
        ({"inputs": "a", "parameters": {"top_k": True}}, 422),
        ({"inputs": "a", "parameters": {"function_to_apply": "relu"}}, 422),
        ({"inputs": "a", "parameters": {"function_to_apply": ["none"]}}, 422),
        ({"inputs": 3, "parameters": {}}, 422),
        ({"inputs": [], "parameters": {}}, 422),
        ({"inputs": [3], "parameters": {}}, 422),
        ({"inputs": {"text": 3}, "parameters": {}}, 422),
        ({"parameters": {}}, 422),
        ({"inputs": "", "parameters": {}}, 400),
    ],
)
def test_bodies(live, route, body, status):
    found, _, answer = live.post(route, body)
    assert found == status
    if status == 200:
        assert isinstance(answer[0], list)
