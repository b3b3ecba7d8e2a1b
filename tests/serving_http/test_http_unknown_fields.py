"""Fields that a request should not have: refused where they are a mistake, ignored where a protocol has them."""

import pytest
from live_server import tiny_classifier

TEXT = "a good film"
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}
BODIES = {
    "/predict": {"inputs": TEXT},
    "/": {"inputs": TEXT},
    "/invocations": {"inputs": TEXT, "parameters": {}},
    "/rerank": {"query": TEXT, "texts": [TEXT]},
    "/v1/rerank": {"query": TEXT, "documents": [TEXT]},
    "/v1/classify": {"input": TEXT},
    "/v2/models/tiny/infer": {"inputs": [TENSOR]},
}
OPEN = [route for route in BODIES if route != "/v1/classify"]


def check_refused(live, route, body, *parts):
    status, _, answer = live.post(route, body)
    assert (status, answer["error_type"]) == (422, "Validation"), answer
    assert "unknown field" in answer["error"] and "; a request is {" in answer["error"]
    assert "\n" not in answer["error"] and len(answer["error"]) < 500
    for part in parts:
        assert part in answer["error"]


@pytest.mark.parametrize("route", BODIES)
@pytest.mark.parametrize("name", ["polcy", "Policy", "poliicy"])
def test_a_mistyped_field_is_refused_with_the_closest(live, route, name):
    is_nested = route.startswith("/v2")
    body = BODIES[route] | ({"parameters": {name: "full"}} if is_nested else {name: "full"})
    check_refused(live, route, body, repr(name), "" if route == "/invocations" else "'policy'")


@pytest.mark.parametrize(
    ("route", "fields", "hint"),
    [
        ("/predict", {"truncat": True}, "closest to 'truncate'"),
        ("/predict", {"parameters": {"top_k": 1}}, "POST / has 'parameters'"),
        ("/predict", {"parameters": {"candidate_labels": ["a"]}}, "POST / has 'parameters'"),
        ("/predict", {"candidate_labels": ["a", "b"]}, "labels of their own"),
        ("/predict", {"deadline_ms": 5}, "/v1/classify has 'deadline_ms'"),
        ("/predict", {"deadline_m": 5}, "/v1/classify has 'deadline_ms'"),
        ("/predict", {"trace": True}, "/v1/classify has 'trace'"),
        ("/predict", {"long": "windows"}, "/v1/classify has 'long'"),
        ("/invocations", {"top_k": 1}, "'parameters' has 'top_k'"),
        ("/invocations", {"policy": "full"}, "/v1/classify has 'policy'"),
        ("/invocations", {"parameters": {"topk": 1}}, "closest to 'top_k'"),
        ("/invocations", {"parameters": {"candidate_labels": ["a", "b"]}}, "unknown field 'candidate_labels'"),
        ("/rerank", {"top_k": 1}, "/v1/classify has 'top_k'"),
        ("/v1/rerank", {"truncate_prompt_tokens": 5}, "/v1/classify has 'truncate_prompt_tokens'"),
        ("/v1/rerank", {"return_document": True}, "closest to 'return_documents'"),
        ("/v1/classify", {"topk": 1}, "closest to 'top_k'"),
        ("/v1/classify", {"input": [{"text": "a", "text_par": "b"}]}, "closest to 'text_pair'"),
        ("/v2/models/tiny/infer", {"policy": "full"}, "'parameters' has 'policy'"),
        ("/v2/models/tiny/infer", {"parameters": {"top_k": 1}}, "/v1/classify has 'top_k'"),
    ],
)
def test_an_option_without_effect_is_refused_with_who_has_it(live, route, fields, hint):
    check_refused(live, route, BODIES[route] | fields, hint)


@pytest.mark.parametrize("route", OPEN)
@pytest.mark.parametrize(
    "fields",
    [
        {"model": "tiny", "user": "me", "prompt_name": "query", "normalize": True, "dimensions": 5},  # TEI's others
        {"options": {"wait_for_model": True}, "use_cache": False},  # Hugging Face's
        {"max_chunks_per_doc": 1, "max_tokens_per_doc": 9, "rank_fields": ["text"], "priority": 1},  # Cohere's
        {"truncation": True, "embedding_format": "float", "additional_data": 1},  # Jina's and vLLM's
        {"id": "1", "parameters": None, "top_k": None, "policy": None, "deadline_ms": None},  # what a client leaves out
    ],
)
def test_fields_of_other_servers_are_ignored(live, route, fields):
    kept = {key: value for key, value in fields.items() if key != "parameters" or route != "/invocations"}
    status, _, answer = live.post(route, BODIES[route] | kept)
    expected = 424 if route.endswith("rerank") else 200  # of this model's two labels none is a score
    assert status == expected, answer


def test_parameters_of_the_open_inference_protocol_are_ignored(live):
    tensor = TENSOR | {"parameters": {"content_type": "str"}}
    body = {"inputs": [tensor], "parameters": {"binary_data_output": True, "timeout": 1, "sequence_id": 7}}
    assert live.post("/v2/models/tiny/infer", body)[0] == 200


@pytest.mark.parametrize("route", ["/predict", "/"])
def test_top_k_and_policy_have_an_effect(live, route):
    [expected] = tiny_classifier().predict([TEXT], "depth(2)")
    status, headers, answer = live.post(route, {"inputs": TEXT, "top_k": 1, "policy": "depth(2)"})
    assert (status, headers["x-elbert-operating-point"]) == (200, "depth(2)")
    assert answer == [{"label": expected.label, "score": pytest.approx(expected.score, abs=1e-5)}]
    assert [len(one) for one in live.post(route, {"inputs": [["a"], ["b"]], "top_k": 1.0})[2]] == [1, 1]
    for wrong in ({"top_k": 0}, {"top_k": 1.5}, {"policy": "fastest"}):
        assert live.post(route, {"inputs": TEXT} | wrong)[0] == 422


def test_many_unknown_fields_are_compared_in_bounded_time(live):
    body = {"inputs": TEXT} | {f"x{i:04}poilcy"[-9:] + str(i): 1 for i in range(4000)}
    assert live.post("/predict", body)[0] == 200
    assert live.post("/predict", body | {"deadline_ms": 5})[0] == 422, "an option is found among them"
