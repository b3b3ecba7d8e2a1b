"""``/rerank`` as text-embeddings-inference has it, ``/v1/rerank`` as Jina, Cohere and vLLM have it."""

import math

import pytest
from live_server import Held, Live, tiny_classifier

from elbert import Classifier, InputError, PolicyError
from elbert.serving.service import Service
from elbert.serving.settings import Settings
from ranking_lists import make_lists, write_ranker

QUERY, TEXTS = "the film", ["it was dull", "a good film", "the plot was slow"]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    folder = write_ranker(tmp_path_factory.mktemp("ranker") / "model")
    return Classifier.load(folder, dtype="float32", threads=1)


@pytest.fixture(scope="module")
def ranking(ranker):
    held = Classifier(ranker.bundle, ranker.tokeniser, Held(ranker.backend), ranker.policy, max_rows=8, threads=1)
    with Live(held, max_client_batch_size=20) as server:
        yield server


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("is_raw", [None, False, True])
@pytest.mark.parametrize("has_text", [None, False, True])
def test_texts_are_ranked_as_tei_does(ranking, ranker, is_raw, has_text):
    body = {"query": QUERY, "texts": TEXTS, "truncate": True, "truncation_direction": "Right", "unknown": 1}
    body |= {} if is_raw is None else {"raw_scores": is_raw}
    body |= {} if has_text is None else {"return_text": has_text}
    status, headers, found = ranking.post("/rerank", body)
    assert status == 200 and headers["x-compute-tokens"].isdigit() and headers["x-elbert-operating-point"] == "full"
    expected = ranker.rank(QUERY, TEXTS)
    assert [one["index"] for one in found] == [one.index for one in expected]
    scores = [one.score if is_raw else sigmoid(one.score) for one in expected]
    assert [one["score"] for one in found] == pytest.approx(scores, abs=1e-5)
    assert [one.get("text") for one in found] == [one.text if has_text else None for one in expected]
    assert {(one["depth"], one["reason"]) for one in found} == {(6, "last")}


@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: {"text": text}], ids=["texts", "objects"])
@pytest.mark.parametrize("path", ["/v1/rerank"])
def test_documents_are_ranked_as_vllm_does(ranking, ranker, wrap, path):
    body = {"model": "tiny", "query": QUERY, "documents": [wrap(text) for text in TEXTS]}
    status, _, found = ranking.post(path, body)
    expected = ranker.rank(QUERY, TEXTS)
    assert status == 200 and found["model"] == "tiny" and found["id"].startswith("rerank-")
    assert found["usage"]["prompt_tokens"] == found["usage"]["total_tokens"] > 0
    assert [(one["index"], one["document"]["text"]) for one in found["results"]] == [
        (o.index, o.text) for o in expected
    ]
    scores = [one["relevance_score"] for one in found["results"]]
    assert scores == pytest.approx([one.score for one in expected], abs=1e-5)
    status, _, fewer = ranking.post(path, body | {"top_n": 1.0, "return_documents": False})
    assert [one.keys() for one in fewer["results"]] == [{"index", "relevance_score", "depth", "reason"}]
    assert len(ranking.post(path, body | {"top_n": 0})[2]["results"]) == len(TEXTS)


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "why"),
    [
        ("/rerank", {"query": QUERY, "texts": []}, 400, "Empty", "`texts` cannot be empty"),
        ("/v1/rerank", {"query": QUERY, "documents": []}, 400, "Empty", "`documents` cannot be empty"),
        ("/rerank", {"query": QUERY, "texts": ["a"] * 21}, 422, "Validation", "expected 1 to 20"),
        ("/v1/rerank", {"query": QUERY, "documents": ["a"] * 21}, 422, "Validation", "expected 1 to 20"),
        ("/rerank", {"query": QUERY, "texts": "one text"}, 422, "Validation", "expected an array"),
        ("/rerank", {"query": QUERY, "texts": [1]}, 422, "Validation", "texts[0]"),
        ("/rerank", {"texts": TEXTS}, 422, "Validation", "missing field 'query'"),
        ("/rerank", {"query": None, "texts": TEXTS}, 422, "Validation", "query"),
        ("/rerank", {"query": QUERY, "texts": TEXTS, "truncation_direction": "up"}, 422, "Validation", "left or right"),
        ("/rerank", {"query": QUERY, "texts": ["good " * 99], "truncate": False}, 422, "Validation", "tokens"),
        ("/rerank", {"query": QUERY, "texts": TEXTS, "policy": "entropy(0.1)"}, 422, "Validation", "does not fit"),
        ("/v1/rerank", {"query": QUERY, "documents": [{"title": "a"}]}, 422, "Validation", "missing field 'text'"),
        ("/v1/rerank", {"query": QUERY, "documents": TEXTS, "model": "other"}, 404, "NotFound", "no model"),
        ("/v1/rerank", {"query": QUERY, "documents": TEXTS, "top_n": -1}, 422, "Validation", "top_n"),
        (
            *("/v1/rerank", {"query": QUERY, "documents": TEXTS, "top_n": 3, "policy": "outranked(2)"}),
            *(422, "Validation", "keeps the 2 highest"),
        ),
        ("/rerank", b"{", 400, "Malformed", "not JSON"),
        ("/v1/classify", {"input": TEXTS, "policy": "outranked(2)"}, 422, "Validation", "for rank only"),
    ],
)
def test_what_cannot_be_ranked_has_a_status_and_one_line(ranking, path, body, status, kind, why):
    found, _, answer = ranking.post(path, body)
    assert (found, answer["error_type"]) == (status, kind)
    assert why in answer["error"] and "\n" not in answer["error"]


@pytest.mark.parametrize(("path", "name"), [("/rerank", "texts"), ("/v1/rerank", "documents")])
def test_a_model_that_is_no_cross_encoder_is_a_backend_error(live, path, name):
    status, _, answer = live.post(path, {"query": QUERY, name: TEXTS})
    assert (status, answer["error_type"]) == (424, "Backend") and "2 outputs" in answer["error"]


def test_texts_out_of_reach_exit_and_the_highest_stay(ranking, ranker):
    for query, some in [one for one in make_lists(12, seed=2) if len(one[1]) > 8]:
        body = {"query": query, "texts": some, "policy": "outranked(3, 0.5)", "raw_scores": True}
        status, headers, found = ranking.post("/rerank", body)
        assert status == 200 and headers["x-elbert-operating-point"] == "outranked(top=3, margin=0.5, size=2)"
        scores = [one["score"] for one in found]
        assert scores == sorted(scores, reverse=True) and sorted(one["index"] for one in found) == list(
            range(len(some))
        )
        full = {one.index: one.score for one in ranker.rank(query, some)}
        assert [one["score"] for one in found[:3]] == pytest.approx([full[one["index"]] for one in found[:3]], abs=1e-5)
        assert {one["reason"] for one in found[:3]} == {"last"}
    assert any(name.startswith('elbert_exit_total{reason="outranked"}') for name in ranking.counts())
    assert ranking.counts()['elbert_exit_total{reason="outranked"}'] > 0


def test_rankings_have_a_policy_of_their_own(ranker):
    with Live(
        Classifier(ranker.bundle, ranker.tokeniser, Held(ranker.backend), ranker.policy), rank_policy="depth(2)"
    ) as server:
        _, _, found = server.post("/rerank", {"query": QUERY, "texts": TEXTS})
        assert {one["depth"] for one in found} == {2}
        _, _, found = server.post("/rerank", {"query": QUERY, "texts": TEXTS, "policy": "full"})
        assert {one["depth"] for one in found} == {6}
        assert server.post("/predict", {"inputs": "a film"})[1]["x-elbert-operating-point"] == "full"


def test_a_policy_for_rankings_is_checked_at_the_start(ranker):
    with pytest.raises(PolicyError):
        Service(ranker, Settings(rank_policy="outranked(0)"))
    with pytest.raises(InputError, match="2 outputs"):
        Service(tiny_classifier(), Settings(rank_policy="outranked(3)"))


def test_a_failed_call_fails_the_request(ranking):
    ranking.backend.nan = 1
    status, _, answer = ranking.post("/rerank", {"query": QUERY, "texts": TEXTS, "policy": "outranked(1)"})
    assert (status, answer["error_type"]) == (424, "Backend")
