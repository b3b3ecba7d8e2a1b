"""The OpenAPI document: complete, true, and with examples that work."""

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from live_server import Live, tiny_classifier

from elbert.serving.http import HttpSettings
from elbert.serving.http.errors import STATUS
from elbert.serving.http.heads import MAX_FIELDS
from elbert.serving.http.openapi import ERRORS, ServerFacts, openapi_document


@pytest.fixture(scope="module")
def openapi(live):
    return live.get("/openapi.json")[2]


def operations(openapi):
    return [
        (path, method, operation) for path, methods in openapi["paths"].items() for method, operation in methods.items()
    ]


def test_every_route_is_in_it(live, openapi):
    found = {(path, method.upper()) for path, method, _ in operations(openapi)}
    assert found == {(route.path, method) for route in live.app.routes for method in route.methods if method != "HEAD"}


def test_every_status_is_in_it():
    openapi = openapi_document(ServerFacts(["m"], ["a", "b"], ["fast"], 12, 32, has_key=True, checks_host=True))
    known = {status for _, _, operation in operations(openapi) for status in operation["responses"]}
    assert known == {"200", *map(str, STATUS.values())} - {"405"}
    for path, _, operation in operations(openapi):
        public = path in ("/health", "/ready", "/ping", "/metrics", "/docs", "/openapi.json", "/") or "health" in path
        assert ("401" in operation["responses"]) == (not public or operation["operationId"] == "root")
        assert "security" in operation or "401" not in operation["responses"]


def test_examples_work_and_fit_their_schemas(live, openapi):
    tried = 0
    for path, method, operation in operations(openapi):
        if method != "post":
            continue
        content = operation["requestBody"]["content"]["application/json"]
        answers = operation["responses"]["200"]["content"]["application/json"]
        for example in content["examples"].values():
            fits(openapi, content["schema"], example["value"])
            status, _, answer = live.post(path, example["value"])
            tried += 1
            if path.endswith("/rerank"):  # of this model's two labels none is a score; test_http_rerank has a ranker
                assert (status, answer["error_type"]) == (424, "Backend")
                continue
            assert status == 200
            fits(openapi, answers["schema"], answer)
        for example in answers["examples"].values():
            fits(openapi, answers["schema"], example["value"])
    assert tried > 8


def test_example_errors_are_what_the_server_answers():
    with Live(http=HttpSettings("tiny", api_key="k", allowed_host=("a.example",))) as server:
        key = {"authorization": "Bearer k"}
        many = {f"x-{i}": "1" for i in range(MAX_FIELDS)}
        answers = {
            "400": server.post("/predict", {"inputs": ""}, **key),
            "401": server.get("/info"),
            "403": server.get("/info", host="my.example"),
            "404": server.get("/nowhere", **key),
            "413": server.post("/predict", b" " * 2_000_001, **key),
            "415": server.post("/predict", b"a", content_type="text/plain", **key),
            "422": server.post("/v1/classify", {"input": ["a"] * 33}, **key),
            "431": server.get("/info", **many),
        }
    for status, (found, _, answer) in answers.items():
        _, message, kind = ERRORS[status]
        assert (str(found), answer["error_type"]) == (status, kind)
        assert answer["error"] == message


def fits(openapi, schema, value):
    jsonschema_rs.validate({**schema, "components": openapi["components"]}, value)


@pytest.mark.parametrize("labels", [["one"], [f"label {i}" for i in range(20)]])
def test_any_models_examples_fit(labels):
    openapi = openapi_document(ServerFacts(["m"], labels, [], 3, 1, has_key=False))
    for _, method, operation in operations(openapi):
        if method == "post":
            answers = operation["responses"]["200"]["content"]["application/json"]
            for example in answers["examples"].values():
                fits(openapi, answers["schema"], example["value"])


def test_docs_escape_what_they_show():
    from elbert.web import render_page

    facts = ServerFacts(["<script>alert(1)</script>"], ["<b>", "&"], ["<i>"], 3, 1, has_key=False)
    page = render_page("api/api.html", openapi_document(facts))
    assert "<script>alert" not in page
    assert page.count("<script") == page.count("</script>")
    assert "<b>" not in page


@pytest.fixture(scope="module")
def checks():
    """Loaded here: the process that runs this file is one of several that collect it."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    return [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
        checks.negative_data_rejection,
        checks.unsupported_method,
    ]


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_the_server_keeps_to_it(live, checks, mode):
    import schemathesis

    mode = schemathesis.GenerationMode(mode)
    schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        classifies = operation.method == "post"
        if mode.is_negative and not classifies:
            continue  # there is nothing to send wrongly

        @settings(max_examples=5 if classifies else 1, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps_to_it(case):
            case.call_and_validate(checks=checks, timeout=30)

        keeps_to_it()
        tried += 1
    assert tried == (9 if mode.is_negative else 26)


def test_the_tiny_model_is_what_the_document_says(openapi):
    schemas = openapi["components"]["schemas"]
    assert schemas["PredictResponse"]["anyOf"][0]["items"] == {"$ref": "#/components/schemas/RankedLabel"}
    label = schemas["RankedLabel"]["properties"]["label"]
    assert label["enum"] == list(tiny_classifier().labels)
