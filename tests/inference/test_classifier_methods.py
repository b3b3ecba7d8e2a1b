"""The methods of a classifier beyond predictions: evaluate, calibrate, compare, explain, save, publish; displays."""

import copy
import json
import pickle

import numpy as np
import pytest

import elbert
from elbert import _progress
from elbert.classifier import Classifier
from elbert.cli.main import main
from elbert.errors import BadRow, BundleError, DataError, InputError, PolicyError
from elbert.evaluation import collect, evaluate
from elbert.prediction import Entity, Prediction, Predictions, RankedText, TokenPrediction
from tiny import texts, write_bundle

pandas = pytest.importorskip("pandas")

TEXTS = texts(120, seed=3, longest=12)
SEED = 9  # a model whose depths agree more and more with the last
SPECS = ["entropy(0.4)", "depth(2)"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("methods") / "tiny", SEED)


@pytest.fixture
def classifier(folder, tmp_path):
    return Classifier.load(Classifier.load(folder, threads=1).save(tmp_path / "mine"), threads=1)


@pytest.fixture(scope="module")
def labels(folder):
    """Labels that full depth mostly gets right, so that early exits lose accuracy."""
    found = [p.label for p in Classifier.load(folder, "full", threads=1)(TEXTS)]
    return ["positive" if i % 7 == 0 else label for i, label in enumerate(found)]


@pytest.fixture
def frame(labels):
    return pandas.DataFrame({"id": range(len(TEXTS)), "text": TEXTS, "label": labels})


def test_calls_and_probabilities_are_those_of_predict(classifier):
    found = classifier.predict(TEXTS, "entropy(0.4)")
    assert classifier(TEXTS, "entropy(0.4)") == found
    probabilities = classifier.predict_proba(TEXTS, "entropy(0.4)")
    assert probabilities.shape == (len(TEXTS), 2)
    assert probabilities.dtype == np.float32
    assert [classifier.labels[i] for i in probabilities.argmax(1)] == [p.label for p in found]
    assert probabilities.sum(1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
    assert classifier.predict_proba([]).shape == (0, 2)
    with pytest.raises(InputError, match="put it into a list"):
        classifier("good film")
    with pytest.raises(InputError, match=r'table\["text"\]'):
        classifier.predict_proba(pandas.DataFrame({"text": TEXTS}))


def test_evaluate_takes_every_form_of_data(classifier, labels, frame, tmp_path):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    policies = {spec: classifier.resolve_policy(spec) for spec in SPECS}
    expected = evaluate(collect(classifier, TEXTS, labels), policies)
    pairs = list(zip(TEXTS, labels, strict=True))
    for data in ((TEXTS, labels), frame, tmp_path / "rows.csv", str(tmp_path / "rows.csv"), pairs):
        assert classifier.evaluate(data, policies=SPECS) == expected
    assert classifier.evaluate(TEXTS, labels, policies=SPECS) == expected
    assert len(classifier.evaluate(TEXTS, labels).policies) > 2  # common ones


def test_what_cannot_be_evaluated_is_one_line(classifier, labels):
    cases = [
        (lambda: classifier.evaluate(TEXTS), DataError, "no label"),
        (lambda: classifier.evaluate("a good film"), DataError, "unknown ending"),
        (lambda: classifier.evaluate([]), DataError, "no texts"),
        (lambda: classifier.evaluate(TEXTS, labels[:-1]), InputError, "119 labels for 120 texts"),
        (lambda: classifier.evaluate(["a", "b"], ["positive", "neutral"]), BadRow, "^data:1: unknown label 'neutral'"),
        (lambda: classifier.evaluate(TEXTS, labels, policies="full"), InputError, "expected a list of specs"),
        (lambda: classifier.evaluate(TEXTS, labels, policies=["nonsense"]), PolicyError, "nonsense"),
        (lambda: classifier.calibrate(TEXTS, labels, name="n"), InputError, "expected one goal"),
        (lambda: classifier.calibrate(TEXTS, labels, name="n", speedup=2, risk=0.1), InputError, "expected one goal"),
        (lambda: classifier.calibrate(TEXTS, labels, name="full", speedup=2), InputError, "is a policy"),
        (lambda: classifier.calibrate(TEXTS, name="n", risk=0.1, loss="harmful-flip"), InputError, "need labels"),
        (lambda: classifier.calibrate(TEXTS, labels, name="n", risk=0.001), InputError, "texts"),
        (lambda: classifier.compare(TEXTS), DataError, "no label"),
        (lambda: classifier.explain(["a", "b", "c"]), InputError, "expected a string or a pair"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert not (classifier.bundle.folder / "exits.json").exists()


def test_a_calibrated_point_is_used_at_once_and_is_that_of_the_command(classifier, frame, tmp_path, capsys):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    point = classifier.calibrate(tmp_path / "rows.csv", name="fast", speedup=1.5, families=["entropy"], default=True)
    assert classifier.policy == point.policy
    assert classifier.predict(TEXTS, "fast") == classifier.predict(TEXTS) == classifier.predict(TEXTS, point.policy)
    card = (classifier.bundle.folder / "README.md").read_text()
    assert f"| fast (default) | `{point.policy}` |" in card and "None: the model runs" not in card
    again = Classifier.load(classifier.bundle.folder, threads=1)
    assert again.bundle.points["fast"] == point
    common = ["--data", str(tmp_path / "rows.csv"), "--name", "fast", "--speedup", "1.5", "--families", "entropy"]
    other = ["--model", str(classifier.bundle.folder), "--output", str(tmp_path / "other"), "--threads", "1", "--json"]
    assert main(["calibrate", *common, *other]) == 0
    command = json.loads(capsys.readouterr().out)
    assert {key: command[key] for key in point.to_dict()} == json.loads(json.dumps(point.to_dict()))


def test_data_in_memory_is_calibrated_and_certified(classifier, frame, tmp_path):
    point = classifier.calibrate(frame, name="safe", risk=0.3, error=0.2, policies=["depth(5)", "depth(4)"])
    assert point.certificate is not None and point.certificate.n == len(TEXTS)
    assert point.conditions is not None and len(point.conditions.data) == 64
    unlabelled = classifier.calibrate(TEXTS, name="same", risk=0.3, error=0.2, families=["entropy"], tuning_share=0.4)
    assert unlabelled.certificate.loss == "inconsistency"
    assert list(classifier.bundle.points) == ["safe", "same"]
    bundled = Classifier.load(threads=1)
    with pytest.raises(InputError, match="output= makes a copy"):
        bundled.calibrate(frame, name="mine", speedup=2)
    assert pickle.loads(pickle.dumps(classifier)).predict(TEXTS[:3], "safe") == classifier.predict(TEXTS[:3], "safe")
    assert copy.deepcopy(classifier).predict(TEXTS[:3]) == classifier.predict(TEXTS[:3])


def test_compare(classifier, frame, tmp_path):
    comparison = classifier.compare(frame, families=["entropy", "depth"], output=tmp_path / "report")
    assert set(comparison.swept) >= {"entropy", "depth"}
    names = {file.name for file in (tmp_path / "report").iterdir()}
    assert names == {"report.html", "curves.png", "curves.svg", "policies.csv", "comparison.json"}
    assert repr(comparison).startswith("<Comparison: ") and len(repr(comparison)) < 200
    html = comparison._repr_html_()
    assert html.startswith("<table>") and html.count("<tr") == 1 + len(comparison.swept)
    for entry in comparison.contests[0].entries:
        assert f'<td style="text-align:left;vertical-align:top">{entry.family}</td>' in html
        assert f"{entry.score:.3f} ({entry.mean_depth:.2f})" in html


def test_save_and_push(classifier, tmp_path):
    kept = classifier.save(tmp_path / "kept")
    assert Classifier.load(kept, threads=1).predict(TEXTS[:5]) == classifier.predict(TEXTS[:5])
    with pytest.raises(InputError, match="exists already"):
        classifier.save(kept)
    with pytest.raises(InputError, match="'me/model': the hub cannot be written to .*check the name, the network"):
        classifier.push_to_hub("me/model")  # tests are offline
    bundled = Classifier.load(threads=1).save(tmp_path / "bundled")
    assert (bundled / "README.md").read_text() == (elbert.bundled_model() / "README.md").read_text()


def test_a_card_keeps_what_people_write(classifier):
    file = classifier.bundle.folder / "README.md"
    text = file.read_text().replace("license: unknown", "license: mit") + "\n## Limits\n\nEnglish only.\n"
    file.write_text(text)
    classifier.calibrate(TEXTS, name="p", risk=0.4, error=0.4, policies=["depth(5)"])
    after = file.read_text()
    assert "license: mit" in after and after.endswith("\n## Limits\n\nEnglish only.\n") and "| p |" in after


def test_a_prediction_as_values_is_the_line_of_the_command(classifier, capsys, tmp_path):
    (found,) = classifier.predict(["good film"], "full", trace=True)
    assert (
        main(
            [
                "predict",
                "good film",
                "--model",
                str(classifier.bundle.folder),
                "--scores",
                "--trace",
                "--policy",
                "full",
            ]
        )
        == 0
    )
    line = json.loads(capsys.readouterr().out)
    assert {"text": "good film", **found.to_dict()} == line
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    (plain,) = classifier.predict(["good film"])
    assert set(plain.to_dict(scores=False)) == {"label", "score", "depth", "depths", "reason", "truncated"}


def test_notebooks_show_tables_without_scripts(tmp_path):
    label = "<script>alert(1)</script>"
    classifier = Classifier.load(write_bundle(tmp_path / "m", labels=(label, f"{label}2")), threads=1)
    found = classifier.predict(TEXTS)
    assert isinstance(found, list) and isinstance(found, Predictions)
    explained = classifier.explain("good <b>film</b>", "entropy(0.4)", attention=False)
    for shown in (classifier, found, found[0], explained):
        html = shown._repr_html_()
        assert html.startswith("<table>") and "<script" not in html and "&lt;script" in html
        assert "\n" not in repr(shown) or shown is found
    assert "&lt;b&gt;film" in explained._repr_html_() and explained.why.split("<")[0][:10] in explained._repr_html_()
    assert "and 100 more" in found._repr_html_()
    assert repr(classifier).startswith("<Classifier '") and "policy 'full'" in repr(classifier)


def test_progress_is_shown_on_terminals_only(classifier, monkeypatch, capsys):
    monkeypatch.setattr("elbert.classifier.LONG", 100)
    monkeypatch.setattr(_progress, "DELAY", 0.0)
    expected = classifier.predict(TEXTS)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(_progress, "is_interactive", lambda: True)
    assert classifier.predict(TEXTS) == expected
    classifier.evaluate(TEXTS, ["positive"] * len(TEXTS), policies=[])
    out, err = capsys.readouterr()
    assert out == "" and "predict" in err and "all depths" in err
    classifier.predict(TEXTS[:99])
    assert capsys.readouterr() == ("", "")


def test_a_pickle_without_its_folder_names_the_remedy(classifier, tmp_path):
    content = pickle.dumps(classifier)
    classifier.bundle.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="put the folder there"):
        pickle.loads(content)


@pytest.mark.parametrize("spec", ["window(entropy=0.1, size=99)", "entropy(0.1) | patience(40)"])
def test_a_rule_that_never_fires_is_noted_once(bundle_folder, recwarn, spec):
    classifier = Classifier.load(bundle_folder, spec)
    classifier.predict(["a film"])
    classifier.predict(["a film"], spec)
    (warning,) = recwarn
    assert "depths of this model are too few for" in str(warning.message)
    classifier.predict(["a film"], "patience(2)")
    classifier.evaluate({"text": ["a film"], "label": [classifier.labels[0]]})
    assert len(recwarn) == 1


def test_only_fields_that_are_set_are_shown():
    short = Prediction("a", 0.5, 2, 6, "entropy", {"a": 0.5}, None)
    assert repr(short) == "Prediction(label='a', score=0.5, depth=2, depths=6, reason='entropy')"
    long = Prediction("a", 0.5, 2, 6, "entropy", truncated=True, windows=3, window_depths=(1, 2))
    assert repr(long).endswith("reason='entropy', truncated=True, windows=3, window_depths=(1, 2))")
    tags = TokenPrediction("O", 0.5, 2, 6, "last", entities=(Entity("PER", 0.9, 0, 3, "Ann"),))
    assert repr(tags).startswith(
        "TokenPrediction(label='O', score=0.5, depth=2, depths=6, reason='last', entities=(Entity("
    )
    assert (
        repr(RankedText(0, 0.5, "a", 2, 6, "last"))
        == "RankedText(index=0, score=0.5, depth=2, depths=6, reason='last')"
    )
