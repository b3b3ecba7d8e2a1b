"""advance, and the classifier that calls it, against each text alone and against a replay of the reference."""

import pytest
import torch

from elbert.classifier import Classifier
from elbert.errors import InputError, PolicyError
from elbert.exits import replay_exits
from elbert.model.reference.albert import ElbertForSequenceClassification
from tiny import texts, write_bundle

POLICIES = [
    "full",
    "depth(1)",
    "depth(4)",
    "entropy(0.4)",
    "patience(2)",
    "divergence(2, 0.05)",
    "window(entropy=0.2, size=3, rule=trend)",
    "window(entropy=0.2, size=2, rule=stable, range=0.1)",
    "entropy(0.1) | patience(3)",
]
KINDS = {
    "plain": {},
    "mean": {"pooling": "mean"},
    "groups": {"num_hidden_groups": 2, "inner_group_num": 2},
    "heads per block": {"exit_heads": 3},
    "three labels": {"labels": ("a", "b", "c")},
    "multi-label": {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"},
}


def reference_probabilities(folder, classifier, sentences):
    """``[n, depths, classes]`` by the transformers model, one text at a time."""
    model = ElbertForSequenceClassification.from_pretrained(folder).eval()
    expected_scores = []
    for tokens in classifier.tokeniser.encode(sentences):
        with torch.inference_mode():
            out = model(torch.tensor([tokens.ids]), token_type_ids=torch.tensor([tokens.type_ids]))
        expected_scores.append(classifier.bundle.config.probabilities(out.exit_logits[:, 0]))
    return torch.stack(expected_scores)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_equals_alone_and_replay(tmp_path, kind):
    folder = write_bundle(tmp_path, seed=1, **kind)
    sentences = [*texts(40, seed=3), ("the film", "is good"), "", ("", "good")]
    many = Classifier.load(folder, max_rows=16, max_tokens=300)
    one = Classifier.load(folder, max_rows=1)
    reference = reference_probabilities(folder, many, sentences)
    multi = many.bundle.config.multi_label
    left_early = 0
    for spec in POLICIES:
        together, alone = many.predict(sentences, spec), one.predict(sentences, spec)
        depths, reasons = replay_exits(reference, spec, multi_label=multi)
        left_early += int((depths < many.depths).sum())
        for i, (a, b) in enumerate(zip(together, alone)):
            expected_scores = reference[i, depths[i] - 1].tolist()
            assert (a.depth, a.reason, a.label) == (b.depth, b.reason, b.label) == (depths[i], reasons[i], a.label)
            assert list(a.scores.values()) == pytest.approx(expected_scores, abs=1e-5)
            assert list(a.scores.values()) == pytest.approx(list(b.scores.values()), abs=1e-5)
            assert a.label == max(a.scores, key=a.scores.get)
            assert a.score == a.scores[a.label]
    assert left_early > 50


def test_order_is_kept_over_any_number(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    sentences = texts(9000, longest=6)
    answers = list(classifier.stream(iter(sentences), "entropy(0.5)"))
    assert len(answers) == 9000
    for i in (0, 1, 4095, 4096, 8191, 8192, 8999):
        assert answers[i].scores == pytest.approx(
            classifier.predict([sentences[i]], "entropy(0.5)")[0].scores, abs=1e-5
        )


def test_stream_reads_no_further_than_its_look_ahead(bundle_folder):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield "good film"

    stream = Classifier.load(bundle_folder).stream(endless(), "depth(1)")
    next(stream)
    assert taken <= 6000


def test_no_texts_no_predictions(bundle_folder):
    assert Classifier.load(bundle_folder).predict([]) == []


def test_trace_tells_every_depth_up_to_the_exit(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    sentences = texts(20, seed=5)
    for p, full in zip(
        classifier.predict(sentences, "entropy(0.4)", trace=True), classifier.predict(sentences, "full", trace=True)
    ):
        assert [s.depth for s in p.trace] == list(range(1, p.depth + 1))
        assert p.trace[-1].scores == p.scores
        assert [s.scores for s in p.trace] == [pytest.approx(s.scores, abs=1e-5) for s in full.trace[: p.depth]]
        below = [s.entropy < 0.4 for s in p.trace]
        assert not any(below[:-1])
        assert below[-1] == (p.reason == "entropy") or p.reason == "last"


def test_a_regression_without_points_runs_full(tmp_path):
    classifier = Classifier.load(write_bundle(tmp_path, labels=("value",)))
    (p,) = classifier.predict(["a good film"])
    assert (p.depth, p.reason) == (6, "last")
    with pytest.raises(PolicyError, match="does not fit a model whose outputs are values; fitting: full, depth"):
        classifier.predict(["a good film"], "entropy(0.1)")


@pytest.mark.parametrize("wrong", [[3], [None], [("a", "b", "c")], [("a", 1)], [["a"]]])
def test_what_is_no_text_is_refused(bundle_folder, wrong):
    with pytest.raises(InputError, match=r"text 1 is .*expected a string or a pair"):
        Classifier.load(bundle_folder).predict(["fine", *wrong])


def test_one_string_is_not_taken_for_many(bundle_folder):
    with pytest.raises(InputError, match=r"\[text\]"):
        Classifier.load(bundle_folder).predict("a good film")


def test_options_are_checked(bundle_folder):
    for options, message in [
        ({"dtype": "float64"}, "expected one of auto"),
        ({"max_rows": 0}, "max_rows is 0"),
        ({"threads": True}, "threads is True"),
        ({"device": "cuda:99"}, "device"),
        ({"device": "nonsense"}, "device"),
    ]:
        with pytest.raises(InputError, match=message):
            Classifier.load(bundle_folder, **options)
    with pytest.raises(PolicyError, match="6 depths"):
        Classifier.load(bundle_folder, "depth(7)")


def test_threads_hold_only_inside(bundle_folder):
    before = torch.get_num_threads()
    Classifier.load(bundle_folder, threads=1).predict(texts(3))
    assert torch.get_num_threads() == before


def test_a_classifier_without_points_never_leaves_early(bundle_folder):
    assert {p.depth for p in Classifier.load(bundle_folder).predict(texts(10))} == {6}


def test_operating_points_by_name(tmp_path):
    points = {"version": 1, "default": "fast", "points": {"fast": {"policy": "depth(2)"}, "safe": {"policy": "full"}}}
    classifier = Classifier.load(write_bundle(tmp_path, points=points))
    assert classifier.predict(["good"])[0].depth == 2
    assert classifier.predict(["good"], "safe")[0].depth == 6
    assert classifier.predict(["good"], "safe | depth(3)")[0].depth == 3
    with pytest.raises(PolicyError, match="operating points of this model: fast, safe"):
        classifier.predict(["good"], "quick")
