"""``elbert.train``: data in every form, options by name, the classifier that it returns, and errors in one line."""

import copy
import json
import os
import pickle
from pathlib import Path

import pytest
from small import LABELS, MILD, STILL, record_of, rows, same, weights_of, write_rows

import elbert
from elbert.errors import BadRow, BundleError, DataError, InputError
from tiny import write_bundle

pandas = pytest.importorskip("pandas")

QUICK = {"use_cpu": True, "max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-3}
ROWS, HELD = rows(16), rows(8, seed=1)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("start") / "start", **STILL, **MILD)


def frame(found):
    return pandas.DataFrame({"text": [text for text, _ in found], "label": [label for _, label in found]})


FORMS = {
    "pairs": lambda folder, found: found,
    "a generator": lambda folder, found: (row for row in found),
    "pandas": lambda folder, found: frame(found),
    "two lists": lambda folder, found: ([text for text, _ in found], [label for _, label in found]),
    "a dict of columns": lambda folder, found: frame(found).to_dict("list"),
}


def test_every_form_of_data_trains_the_same_model_as_a_file(start, tmp_path, capsys):
    files = [write_rows(tmp_path / f"{name}.jsonl", found) for name, found in (("train", ROWS), ("dev", HELD))]
    expected = elbert.train(start, train=files[0], validation=files[1], output=tmp_path / "file", **QUICK)
    assert expected.labels == LABELS
    for number, make in enumerate(FORMS.values()):
        output = tmp_path / f"model-{number}"
        data = (make(tmp_path, found) for found in (ROWS, HELD))
        classifier = elbert.train(str(start), train=next(data), validation=next(data), output=output, **QUICK)
        assert same(weights_of(output), weights_of(tmp_path / "file"))
        assert classifier.predict(["a great film"]) == expected.predict(["a great film"])
    assert capsys.readouterr() == ("", "")  # reports are for terminals and notebooks


@pytest.mark.parametrize("reused", ["train", "dev", None])
def test_calibration_on_a_file_of_the_training_is_noticed(start, tmp_path, reused):
    files = write_parts(tmp_path)
    elbert.train(start, train=files["train"], validation=files["dev"], output=tmp_path / "out", **QUICK)
    classifier = elbert.Classifier.load(tmp_path / "out")
    chosen = {"name": "quick", "speedup": 1.5, "policies": ["depth(1)"], "output": tmp_path / "copy"}
    if reused is None:
        classifier.calibrate(files["other"], **chosen)
        return
    with pytest.warns(elbert.ConditionsWarning, match=rf"trained or validated on \({reused}.jsonl\): .* other texts"):
        classifier.calibrate(files[reused], **chosen)
    again = elbert.Classifier.load(tmp_path / "copy")  # a copy keeps the record
    with pytest.warns(elbert.ConditionsWarning, match="a certificate may not hold"):
        again.calibrate(files[reused], **chosen | {"output": tmp_path / "second"})


def write_parts(folder):
    """Three files without a common text."""
    taken, files = set(), {}
    for seed, name in enumerate(("train", "dev", "other")):
        found = [(f"{text} {name}", label) for text, label in rows(48, seed=seed)]
        assert not taken & {text for text, _ in found}
        taken |= {text for text, _ in found}
        files[name] = Path(write_rows(folder / f"{name}.jsonl", found))
    return files


def test_training_texts_in_another_file_are_noticed_and_stay_marked(start, tmp_path):
    files = write_parts(tmp_path)
    lines = files["train"].read_text().splitlines()
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_text("\n".join(reversed(lines)) + "\n")
    elbert.train(start, train=files["train"], validation=files["dev"], output=tmp_path / "out", **QUICK)
    classifier = elbert.Classifier.load(tmp_path / "out")
    for measure in (classifier.evaluate, lambda data: classifier.compare(data, families=["depth"])):
        with pytest.warns(elbert.ConditionsWarning, match=r"^100% of these texts .*\(train.jsonl\)"):
            measure(shuffled)
        measure(files["dev"])  # warnings are errors
        measure(files["other"])
    with pytest.raises(InputError, match="a certificate would not hold"):
        classifier.calibrate(shuffled, name="sure", risk=0.3, error=0.3, policies=["depth(1)"])
    assert not (tmp_path / "out" / "exits.json").exists()
    with pytest.warns(elbert.ConditionsWarning, match="100%"):
        classifier.calibrate(shuffled, name="quick", speedup=1.5, policies=["depth(1)"])
    marked = "on texts of which the model was trained or validated on 100%"
    assert f"quick was measured {marked}" in (tmp_path / "out" / "README.md").read_text()
    with pytest.warns(elbert.ConditionsWarning, match=marked):  # who uses it sees it too
        elbert.Classifier.load(tmp_path / "out", policy="quick")
    classifier.calibrate(files["other"], name="quick", speedup=1.5, policies=["depth(1)"])
    assert "was measured on texts" not in (tmp_path / "out" / "README.md").read_text()
    elbert.Classifier.load(tmp_path / "out", policy="quick")


def test_validation_texts_that_are_training_texts_are_noticed(start, tmp_path, capsys):
    files = write_parts(tmp_path)
    for validation, share in ((files["train"], "100%"), (files["dev"], None)):
        output = tmp_path / f"out-{share}"
        elbert.train(start, train=files["train"], validation=validation, output=output, verbose=True, **QUICK)
        found = capsys.readouterr().err
        assert (f"warning: {share} of the validation texts are training texts too" in found) == (share is not None)


def test_rows_that_cannot_be_used_are_left_out_on_request(start, tmp_path):
    files = write_parts(tmp_path)
    with files["train"].open("a") as file:
        file.write('{"text": "a film without a label", "label": null}\n{"label": "good"}\n')
    with files["dev"].open("a") as file:
        file.write('{"text": "a film", "label": "no such label"}\n')
    with pytest.raises(BadRow, match="train.jsonl:49: no label"):
        elbert.train(start, train=files["train"], validation=files["dev"], output=tmp_path / "no", **QUICK)
    with pytest.warns(UserWarning) as found:
        options = {"output": tmp_path / "out", "skip_bad": True, **QUICK}
        elbert.train(start, train=files["train"], validation=files["dev"], **options)
    messages = [str(one.message) for one in found]
    assert [message.split(": ")[0].rsplit("/")[-1] for message in messages] == [
        "train.jsonl:50",
        "train.jsonl:49",
        "dev.jsonl:49",
    ]
    assert [record_of(tmp_path / "out")[part]["rows"] for part in ("train", "validation")] == [48, 48]


def test_options_are_those_of_the_command(start, tmp_path):
    options = {"weighting": "learned", "weight_floor": 0.5, "num_train_epochs": 1, "max_steps": 1, "seed": 3}
    options |= {"text_column": "sentence", "label_column": "stars"}
    table = frame(ROWS).rename(columns={"text": "sentence", "label": "stars"})
    classifier = elbert.train(
        start, train=table, validation=HELD, output=tmp_path / "out", max_length=6, **(QUICK | options)
    )
    named = {"sentence": ["a great film", "a bad film"], "stars": classifier.labels[:2]}
    report = classifier.evaluate(named, policies=["full"], text_column="sentence", label_column="stars")
    assert len(report.by_depth) == classifier.depths
    with pytest.raises(InputError, match="'policy' is no setting; known are delimiter, label_column"):
        classifier.evaluate(named, policy="full")
    assert classifier.tokeniser.max_length == 6
    weights = record_of(tmp_path / "out")["exit_weights"]
    assert weights[0] == pytest.approx(0.5 + 0.5 * 0.98201, abs=1e-3)
    assert record_of(tmp_path / "out")["steps"] == 1


def test_a_share_is_held_out_and_a_temporary_folder_lives_with_the_classifier(start, tmp_path):
    classifier = elbert.train(start, train=rows(40), **QUICK)
    folder = classifier.bundle.folder
    assert folder.is_dir()
    kept = classifier.save(tmp_path / "kept")
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(os.listdir(kept))
    assert not list(kept.glob("checkpoint-*"))
    expected = classifier.predict(["a great film"])
    assert pickle.loads(pickle.dumps(classifier)).predict(["a great film"]) == expected
    assert copy.deepcopy(classifier).predict(["a great film"]) == expected
    del classifier
    assert not folder.exists()
    assert elbert.Classifier.load(kept).predict(["a great film"]) == expected
    assert record_of(kept)["validation"]["rows"] == 4


def test_other_problems(start, tmp_path):
    several = [("good film", ["a"]), ("bad film", ["a", "b"]), ("film", [])] * 4
    for problem in ("multi-label", "multi_label_classification"):
        assert elbert.train(start, train=several, validation=several, problem=problem, **QUICK).labels == ("a", "b")
    values = [(text, i / 10) for i, (text, _) in enumerate(ROWS)]
    classifier = elbert.train(start, train=values, validation=values, problem="regression", **QUICK)
    assert classifier.bundle.config.problem == "regression"
    indices = [(text, i % 3) for i, (text, _) in enumerate(ROWS)]
    assert elbert.train(start, train=indices, labels=["u", "x", "y"], **QUICK).labels == ("u", "x", "y")


WRONG = {
    "no column": (
        {"train": pandas.DataFrame({"sentence": ["a"]})},
        DataError,
        "train: no column named text; columns found: sentence",
    ),
    "no named column": ({"train": frame(ROWS), "label_column": "stars"}, DataError, "label_column .* names another"),
    "no rows": ({"train": []}, DataError, "train: no labels found, there are no rows"),
    "a bare string": ({"train": "a good film"}, DataError, "unknown ending"),
    "no label": ({"train": ["good", "bad"]}, BadRow, "^train:0: no label"),
    "an unknown label": ({"validation": [("a", "neutral")]}, BadRow, "^validation:0: unknown label 'neutral'"),
    "a text that is none": ({"train": [("a", "x"), (None, "y")]}, BadRow, "^train:1: text is missing"),
    "one class": ({"train": [("a", "x")] * 4, "validation": [("a", "x")]}, InputError, "takes two labels or more"),
    "a share of nothing": ({"validation": 0.0}, InputError, "a share of the texts between 0 and 1"),
    "too few to hold out": ({"train": ROWS[:3], "validation": 0.1}, InputError, "too few to hold out"),
    "an unknown option": ({"learning_rat": 1}, InputError, "unknown option 'learning_rat', closest to learning_rate"),
    "a rate that is text": ({"learning_rate": "fast"}, InputError, "learning_rate"),
    "a length that is no whole number": (
        {"max_length": 64.0},
        InputError,
        "max_length is 64.0, expected a whole number",
    ),
    "no steps": ({"num_train_epochs": -1, "max_steps": -1}, InputError, "num_train_epochs"),
    "a preset": ({"preset": "best"}, InputError, "expected one of default, paper"),
    "a problem": ({"problem": "ranking"}, InputError, "expected one of single-label, multi-label, regression"),
    "labels in one string": ({"labels": "a,b"}, InputError, "expected a list of names"),
    "a model": ({"model": "nowhere/to/be"}, BundleError, "no such folder"),
    "an exit option": ({"weight_floor": 2}, InputError, "weight_floor is 2"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_argument_is_one_line(start, tmp_path, kind):
    changes, error, message = WRONG[kind]
    values = {"model": start, "train": ROWS, "validation": HELD, "output": tmp_path / "out"} | QUICK | changes
    with pytest.raises(error, match=message) as caught:
        elbert.train(values.pop("model"), **values)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_card_describes_the_model(start, tmp_path):
    (start / "README.md").write_text("---\nlicense: mit\n---\n")
    elbert.train(start, train=ROWS, validation=frame(HELD), output=tmp_path / "out", **QUICK)
    (start / "README.md").unlink()
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlicense: mit ")
    assert "6 times" in card and "`negative`, `positive`" in card
    assert "16 rows" in card and "8 rows" in card and "- steps: 2\n" in card
    assert "| depth | 1 | 2 | 3 | 4 | 5 | 6 |" in card
    assert json.loads((tmp_path / "out" / "training.json").read_text())["base_model"] == "start"


def test_the_finished_model_is_pushed_once(start, tmp_path, monkeypatch):
    calls = []

    class Api:
        def __init__(self, token=None):
            calls.append(token)

        def create_repo(self, name, private, exist_ok):
            calls.append(("create", name, private, exist_ok, (tmp_path / "out").exists()))
            return type("Repository", (), {"repo_id": name})

        def upload_folder(self, repo_id, folder_path, commit_message, ignore_patterns):
            files = {file for file in os.listdir(folder_path) if not file.startswith((".", "checkpoint-"))}
            calls.append(
                ("upload", repo_id, {"config.json", "README.md"} <= files, "checkpoint-*/**" in ignore_patterns)
            )

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    hub = {"push_to_hub": True, "hub_model_id": "me/mine", "hub_token": "secret", "hub_private_repo": True}
    elbert.train(start, train=ROWS, validation=HELD, output=tmp_path / "out", **QUICK, **hub)
    uploaded = ("upload", "me/mine", True, True)
    assert calls == ["secret", ("create", "me/mine", True, True, False), "secret", uploaded]
