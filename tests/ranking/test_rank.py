"""Rankings of a classifier: scores, order, top k, errors, CrossEncoder folders, replay and certificates."""

import json
import math
import shutil

import numpy as np
import pytest

from elbert import BundleError, Classifier, InputError, PolicyError
from elbert.bundle import Certificate
from elbert.explain import explain
from elbert.ranking import rank_lists
from elbert.ranking.ranking_outputs import collect_rankings
from ranking_lists import make_lists, write_ranker
from tiny import texts, write_bundle

QUERY, TEXTS = "the film", ["a good film", "dull", "", "the plot was slow", "a good film"]


def test_scores_are_those_of_pairs(ranker):
    pairs = [(QUERY, text) for text in TEXTS if text]
    values = [prediction.score for prediction in ranker.predict(pairs)]
    found = {one.index: one.score for one in ranker.rank(QUERY, TEXTS)}
    assert [found[i] for i in (0, 1, 3, 4)] == pytest.approx(values, abs=1e-5)


def test_an_empty_text_is_a_pair(ranker):
    (tokens,) = ranker.encode_each([(QUERY, "")])
    assert len(tokens) == len(ranker.encode_each([QUERY])[0]) + 1  # one more [SEP], as CrossEncoder has it


def test_the_highest_comes_first_and_equal_ones_keep_their_order(ranker):
    found = ranker.rank(QUERY, TEXTS)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    places = [one.index for one in found]
    assert places.index(0) < places.index(4) and sorted(places) == list(range(5))
    assert [one.text for one in found] == [TEXTS[i] for i in places]
    assert ranker.rank(QUERY, TEXTS, 2) == found[:2] and ranker.rank(QUERY, tuple(TEXTS), top_k=9) == found
    assert found[0].to_dict() == {
        "index": places[0],
        "score": found[0].score,
        "depth": 6,
        "depths": 6,
        "reason": "last",
        "truncated": False,
        "text": TEXTS[places[0]],
    }


def test_lists_share_calls_and_keep_their_order(ranker):
    lists = make_lists(8, seed=1)
    found = [[(one.index, one.depth) for one in ranking] for ranking in ranker.rank_each(iter(lists))]
    assert found == [[(one.index, one.depth) for one in ranker.rank(*each)] for each in lists]


def test_the_highest_texts_have_their_scores_of_full_depth(ranker):
    lists = make_lists(12, seed=2)
    full = list(ranker.rank_each(lists))
    found = list(ranker.rank_each(lists, policy="outranked(3, 0.5)"))
    assert any(one.reason == "outranked" for ranking in found for one in ranking)
    for ranking, complete in zip(found, full, strict=True):
        scores = [one.score for one in ranking]
        assert scores == sorted(scores, reverse=True)
        assert all(one.reason == "last" for one in ranking[:3])
        by_index = {one.index: one.score for one in complete}
        assert [one.score for one in ranking[:3]] == pytest.approx(
            [by_index[one.index] for one in ranking[:3]], abs=1e-5
        )


@pytest.mark.parametrize(
    ("query", "some", "options", "why"),
    [
        (QUERY, "one text", {}, "got one string: put it into a list"),
        (QUERY, [], {}, "no texts to rank"),
        (QUERY, ["a", 2], {}, "text 1 is int, expected a string"),
        (QUERY, [("a", "b")], {}, "text 0 is tuple"),
        (QUERY, ["a", "\ud800"], {}, "text 1"),
        (QUERY, {"a": 1}, {}, "whose keys are no texts"),
        (QUERY, None, {}, "got None"),
        (5, ["a"], {}, "the query is int"),
        (QUERY, ["a"], {"top_k": 0}, "top_k is 0"),
        (QUERY, ["a"], {"top_k": True}, "top_k is True"),
        (QUERY, ["a"], {"top_k": 4, "policy": "outranked(3)"}, "keeps the 3 highest"),
    ],
)
def test_what_cannot_be_ranked_is_one_line(ranker, query, some, options, why):
    with pytest.raises(InputError) as error:
        ranker.rank(query, some, **options)
    assert why in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "why"),
    [("entropy(0.1)", "does not fit"), ("outranked(3) | outranked(2)", "in two ways"), ("nothing", "no policy")],
)
def test_policies_that_do_not_fit(ranker, spec, why):
    with pytest.raises(PolicyError) as error:
        ranker.rank(QUERY, TEXTS, policy=spec)
    assert why in str(error.value)


@pytest.mark.parametrize("use", ["predict", "predict_proba", "explain"])
def test_list_policies_are_for_rankings_only(ranker, use):
    with pytest.raises(PolicyError) as error:
        getattr(ranker, use)("a film" if use == "explain" else ["a film"], "outranked(3)")
    assert "for rank only" in str(error.value)


def test_a_bad_list_fails_alone(ranker):
    found = list(rank_lists(ranker, [(QUERY, TEXTS), (QUERY, []), (QUERY, [1]), (QUERY, TEXTS)]))
    assert [isinstance(one, InputError) for one in found] == [False, True, True, False]
    assert [one.index for one in found[0]] == [one.index for one in found[3]]


def test_models_without_one_score_are_refused(tmp_path):
    classifier = Classifier.load(write_bundle(tmp_path / "two"), threads=1)
    with pytest.raises(InputError) as error:
        classifier.rank(QUERY, TEXTS)
    assert "this model has 2 outputs, and ranking needs one" in str(error.value)


SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    """A folder as sentence-transformers writes it: ALBERT with one label and no problem type."""
    folder = write_bundle(tmp_path_factory.mktemp("cross") / "model", labels=("LABEL_0",))
    config = json.loads((folder / "config.json").read_text())
    config.pop("problem_type", None)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("in_config", "in_settings", "is_raw"),
    [
        ({}, None, False),
        ({"sentence_transformers": {"version": "4.1.0", "activation_fn": SIGMOID}}, None, False),
        ({"sentence_transformers": {"version": "4.1.0", "activation_fn": IDENTITY}}, None, True),
        ({"sentence_transformers": {"version": "4.1.0"}}, None, False),
        ({"sbert_ce_default_activation_function": IDENTITY}, None, True),
        ({"sbert_ce_default_activation_function": None}, None, False),
        ({}, {"model_type": "CrossEncoder", "activation_fn": IDENTITY, "prompts": {}}, True),
        ({"problem_type": "regression"}, None, True),
    ],
)
def test_scores_are_those_of_a_cross_encoder(cross_encoder, tmp_path, in_config, in_settings, is_raw):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = shutil.copytree(cross_encoder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | in_config
    (folder / "config.json").write_text(json.dumps(config))
    if in_settings is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(in_settings))
    some = [text for text in TEXTS if text]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AlbertForSequenceClassification.from_pretrained(folder).eval()
    batch = tokenizer([QUERY] * len(some), some, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**batch).logits[:, 0]
    expected = {False: logits.sigmoid(), True: logits}
    classifier = Classifier.load(folder, dtype="float32", threads=1)
    for raw, scores in ((None, expected[is_raw]), (False, expected[False]), (True, expected[True])):
        found = classifier.rank(QUERY, some, raw_scores=raw)
        assert [one.score for one in found] == pytest.approx([float(scores[one.index]) for one in found], abs=1e-5)
        assert [one.index for one in found] == torch.sort(-logits, stable=True).indices.tolist()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"activation_fn": "torch.nn.modules.activation.Tanh"}, "expected torch's Sigmoid or Identity"),
        ({"activation_fn": "somewhere.Sigmoid"}, "expected torch's"),
        ({"activation_fn": 5}, "expected torch's"),
        ({"default_prompt_name": "query", "prompts": {"query": "query: "}}, "a prompt before all texts"),
    ],
)
def test_folders_with_other_scores_are_refused(cross_encoder, tmp_path, settings, why):
    folder = shutil.copytree(cross_encoder, tmp_path / "model")
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    classifier = Classifier.load(folder, dtype="float32", threads=1)
    with pytest.raises(BundleError) as error:
        classifier.rank(QUERY, TEXTS)
    assert why in str(error.value)
    assert classifier.rank(QUERY, TEXTS, raw_scores=True)


@pytest.mark.parametrize("spec", ["full", "outranked(3, 0.5)", "outranked(2, 0.2) | depth(4)", "settled(1, 0.5)"])
def test_a_replay_is_the_engines_run(ranker, spec):
    lists = make_lists(10, seed=5)
    replayed = collect_rankings(ranker, lists).replay(ranker.resolve_policy(spec, is_ranked=True))
    found = list(ranker.rank_each(lists, policy=spec))
    exits = [(one.depth, one.reason) for ranking in found for one in sorted(ranking, key=lambda one: one.index)]
    assert list(zip(replayed.depth.tolist(), replayed.reasons, strict=True)) == exits
    assert replayed.tops(3) == [tuple(one.index for one in ranking[:3]) for ranking in found]


def test_a_point_is_chosen_certified_and_used(tmp_path):
    pytest.importorskip("scipy")
    classifier = Classifier.load(write_ranker(tmp_path / "model"), dtype="float32", threads=1)
    lists = make_lists(60, seed=7, longest=8)
    point = classifier.calibrate_ranking(lists, name="top", top_k=2, risk=0.4, error=0.2)
    certificate = point.certificate
    assert certificate is not None and certificate.top == 2 and certificate.n == 30
    assert "another top 2 than at full depth" in str(certificate) and "30 calibration lists" in str(certificate)
    assert Certificate.from_dict(certificate.to_dict()) == certificate
    again = Classifier.load(tmp_path / "model", dtype="float32", threads=1)
    assert again.rank(QUERY, TEXTS, 2, "top") == classifier.rank(QUERY, TEXTS, 2, point.policy)
    assert point.measured["n"] == 30 and point.measured["chosen_on"]["n"] == 30
    assert "top" not in again.bundle.text_points and again.evaluate([(QUERY, t) for t in TEXTS], [1.0, 2, 3, 4, 5])
    explained = explain(again, (QUERY, TEXTS[0]), attention=False, rounds=0)
    assert "top" not in {rival.policy for rival in explained.rivals}  # it has no place beside one text
    faster = classifier.calibrate_ranking(lists, name="fast", top_k=2, speedup=1.2)
    assert faster.measured["chosen_on"]["layer_speedup"] >= 1.2 and faster.certificate is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"top_k": 0, "risk": 0.1}, "top_k is 0"),
        ({"top_k": 2}, "expected one goal"),
        ({"top_k": 2, "risk": 0.01}, "give more lists"),
        ({"top_k": 2, "speedup": 6.0}, "no list-wise policy"),
    ],
)
def test_goals_that_cannot_be_met(ranker, options, why):
    pytest.importorskip("scipy")
    with pytest.raises(InputError) as error:
        ranker.calibrate_ranking(make_lists(8), name="point", **options)
    assert why in str(error.value)


def test_sigmoids_of_large_scores_are_numbers():
    from elbert.ranking import to_score

    assert [to_score(x, "sigmoid") for x in (-1000.0, 0.0, 1000.0)] == [0.0, 0.5, 1.0]
    assert to_score(2.0, "sigmoid") == pytest.approx(1 / (1 + math.exp(-2)))
    assert np.isfinite(to_score(-50.0, "sigmoid"))


def test_long_texts_are_cut(ranker):
    (long, *_) = ranker.rank(QUERY, [" ".join(texts(1, longest=40) * 90)])
    assert long.truncated


@pytest.mark.parametrize("item", ["q", ("q",), ("q", ["a"], 3), {"query": "q", "texts": ["a"]}, None, 5])
def test_what_is_no_list_is_named_by_its_place(ranker, item):
    lists = [("the film", TEXTS), item]
    found = ranker.rank_each(lists)
    assert len(next(found)) == len(TEXTS)
    with pytest.raises(InputError, match=r"expected a list as \(query, texts\), got"):
        next(found)
    with pytest.raises(InputError, match=r"list 1: expected a list as \(query, texts\), got"):
        collect_rankings(ranker, lists)
