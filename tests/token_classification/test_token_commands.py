"""One tagger from a CoNLL file to predictions, reports and an operating point, by the command line."""

import json
import random

import numpy as np
import pytest

from elbert import Classifier
from elbert.cli.main import main
from elbert.errors import DataError
from elbert.evaluation import load_outputs
from elbert.tasks import TokenClassification
from tiny import write_bundle

TAG_OF = {"film": "B-thing", "movie": "B-thing", "journey": "I-thing", "heart": "B-part", "acting": "B-part"}
WORDS = ["the", "a", "is", "good", *TAG_OF]


def sentences(n, seed):
    """Words and tags; ``journey`` continues a thing or begins one."""
    generator = random.Random(seed)
    for _ in range(n):
        words = [generator.choice(WORDS) for _ in range(generator.randint(1, 8))]
        yield words, [TAG_OF.get(word, "O") for word in words]


def unseen_sentences():
    """60 that are neither in the training nor in the validation data."""
    seen = [words for seed in (0, 2) for words, _ in sentences(64, seed)]
    return [sentence for sentence in sentences(90, 1) if sentence[0] not in seen][:60]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained model, its data in three formats."""
    folder = tmp_path_factory.mktemp("tags")
    write_bundle(folder / "start", initializer_range=0.05)
    conll = "\n\n".join("\n".join(f"{w}\tX\t{t}" for w, t in zip(*s, strict=True)) for s in sentences(64, 0))
    (folder / "train.conll").write_text(f"-DOCSTART- -X- O\n\n{conll}\n")
    (folder / "held.jsonl").write_text(
        "".join(json.dumps({"tokens": words, "tags": tags}) + "\n" for words, tags in sentences(60, 2))
    )
    rows = [{"tokens": words, "tags": tags} for words, tags in unseen_sentences()]
    (folder / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(rows), folder / "dev.parquet")
    status = run(
        *("train", "--task", "token-classification", "--model", folder / "start", "--output", folder / "model"),
        *("--train", folder / "train.conll", "--validation", folder / "held.jsonl", "--use_cpu"),
        *("--num_train_epochs", 6, "--learning_rate", 5e-3, "--per_device_train_batch_size", 8),
    )
    assert status == 0
    return folder


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_training_writes_a_plain_tagger(folder):
    config = json.loads((folder / "model" / "config.json").read_text())
    assert config["architectures"] == ["AlbertForTokenClassification"]
    assert config["id2label"] == {"0": "O", "1": "B-part", "2": "B-thing", "3": "I-thing"}
    assert config["aggregation_strategy"] == "first"
    record = json.loads((folder / "model" / "training.json").read_text())["metrics"]
    assert record["eval_f1"] > 0.9 and "eval_depth_1" in record


def test_reports_agree_for_all_formats_and_saved_outputs(folder, capsys):
    reports = []
    for data, options in (
        (folder / "dev.jsonl", ("--model", folder / "model", "--outputs", folder / "dev.npz")),
        (folder / "dev.parquet", ("--model", folder / "model")),
        (folder / "dev.npz", ()),
    ):
        assert run("evaluate", "--data", data, "--json", "--rounds", 0, "--policy", "patience(2)", *options) == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0] == reports[1] == reports[2]
    outputs = load_outputs(folder / "dev.npz")
    assert reports[0]["by_depth"][-1]["f1"] == outputs.task.score(outputs.probabilities[:, -1], outputs.labels)
    found = Classifier.load(folder / "model", threads=1).predict(
        [" ".join(words) for words, _ in unseen_sentences()], "patience(2)"
    )
    assert reports[0]["policies"][0]["mean_depth"] == pytest.approx(np.mean([one.depth for one in found]))


def test_predictions_are_lines_with_entities(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert run("predict", "--model", folder / "model", "--input", "dev.jsonl", "--json", "--scores") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    right = total = 0
    for line, (words, tags) in zip(lines, unseen_sentences(), strict=True):
        assert line["text"] == " ".join(words) and [word["word"] for word in line["words"]] == words
        assert all(line["text"][e["start"] : e["end"]] == e["word"] for e in line["entities"])
        right += sum(word["tag"] == tag for word, tag in zip(line["words"], tags, strict=True))
        total += len(tags)
    assert right > 0.9 * total
    assert run("predict", "--model", folder / "model", "--table", "the film is good") == 0
    assert "  thing 0." in capsys.readouterr().out or "  thing 1." in capsys.readouterr().out


def test_an_operating_point_bounds_the_share_of_texts_whose_spans_change(folder, capsys):
    point = ("calibrate", "--model", folder / "model", "--data", folder / "dev.jsonl", "--name", "fast")
    assert run(*point, "--risk", 0.3, "--policies", "patience(2)", "patience(3)") == 0
    stored = json.loads((folder / "model" / "exits.json").read_text())["points"]["fast"]
    assert stored["certificate"]["loss"] == "inconsistency"
    assert stored["measured"]["f1"] > 0.9
    assert run(*point[:-1], "faster", "--speedup", 1.5, "--families", "patience") == 0


def test_comparison_has_a_report(folder, capsys):
    pytest.importorskip("matplotlib")
    families = ("--families", "patience")
    status = run(
        *("compare", "--model", folder / "model", "--data", folder / "dev.jsonl", "--output", folder / "report"),
        *families,
    )
    assert status == 0 and any((folder / "report").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}\n', "1 tag for 2 tokens"),
        ("b.jsonl", '{"tokens": ["a b"], "tags": ["O"]}\n', "without spaces"),
        ("c.jsonl", '{"tokens": "a b", "tags": ["O"]}\n', "expected a list of words"),
        ("d.jsonl", '{"tokens": ["a"], "tags": ["B-unknown"]}\n', "B-unknown"),
        ("e.jsonl", '{"text": "a", "label": "O"}\n', "tag"),
        ("f.conll", "film\n\n", "expected a word and its tag"),
        ("g.csv", "tokens,tags\na b,O O\n", "expected a list of words"),
    ],
)
def test_bad_rows_are_named_in_one_line(folder, tmp_path, capsys, name, content, why):
    (tmp_path / name).write_text(content)
    assert run("evaluate", "--model", folder / "model", "--data", tmp_path / name) == 2
    error = capsys.readouterr().err
    assert error.startswith("elbert: error: ") and error.count("\n") == 1 and why in error and f"{name}:" in error


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "the film", "--label", "O"),
        ("predict", "the film", "--policy", "tempered(entropy(0.1), 2)"),
    ],
)
def test_commands_that_do_not_fit_say_so_in_one_line(folder, tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    assert run(*command, "--model", folder / "model") == 2
    error = capsys.readouterr().err
    assert error.startswith("elbert: error: ") and error.count("\n") == 1
    assert "token" in error or "tags" in error


SEQEVAL = [  # names, true tags, predicted tags, and what seqeval 1.2.2 counts: right, predicted, true
    (["O", "B-a", "I-a", "B-b", "I-b"], [1, 2, 0, 3], [1, 2, 0, 3], (2, 2, 2)),
    (["O", "B-a", "I-a", "B-b", "I-b"], [1, 2, 0, 3], [1, 0, 0, 3], (1, 2, 2)),
    (["O", "B-a", "I-a", "B-b", "I-b"], [2, 2, 1, 4], [1, 2, 1, 3], (3, 3, 3)),
    (["O", "B-a", "I-a", "B-b", "I-b"], [2, 4, 4, 0], [2, 4, 2, 0], (1, 3, 2)),
    (["O", "B-a", "I-a", "E-a", "S-a"], [1, 2, 3, 4], [1, 2, 3, 3], (2, 2, 2)),
    (["O", "B-a", "I-a", "E-a", "S-a"], [1, 2, 3, 4], [1, 2, 2, 4], (2, 2, 2)),
    (["O", "B-a", "I-a", "E-a", "S-a"], [1, 3, 2, 0], [1, 2, 2, 0], (0, 1, 2)),
]


@pytest.mark.parametrize(("names", "true", "predicted", "expected"), SEQEVAL)
def test_spans_are_counted_as_seqeval_does(names, true, predicted, expected):
    task = TokenClassification().bind(names)
    assert tuple(task.codes.count(np.array([predicted]), np.array([true]))[0]) == expected


def test_spans_equal_seqeval_on_random_tags():
    seqeval = pytest.importorskip("seqeval.metrics")
    names = ["O", "B-a", "I-a", "B-b", "I-b", "E-a", "S-b"]
    task, random_tags = TokenClassification().bind(names), np.random.default_rng(0)
    tags, labels = random_tags.integers(0, len(names), (2, 200, 9))
    labels[:, 7:] = tags[:, 7:] = -1
    named = [[[names[tag] for tag in row if tag >= 0] for row in part] for part in (labels, tags)]
    measured = task.measure(tags, labels)
    assert measured["f1"] == pytest.approx(seqeval.f1_score(*named))
    assert measured["precision"] == pytest.approx(seqeval.precision_score(*named))
    assert measured["recall"] == pytest.approx(seqeval.recall_score(*named))


@pytest.mark.parametrize("command", ["evaluate", "calibrate", "compare"])
@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.txt", "a film\nthe movie\n", "no tags; expected the columns tokens and tags"),
        ("a.jsonl", '{"text": "a film"}\n', "no tags; expected the columns tokens and tags"),
        ("a.jsonl", '{"tokens": ["a", "film"]}\n', "no tags; expected the columns tokens and tags"),
        ("a.csv", "text,label\na film,O\n", "tags are 'O', expected a list with a tag for each word"),
        ("a.jsonl", '{"tokens": ["a", "film"], "tags": ["O"]}\n', "1 tag for 2 tokens"),
        ("a.conll", "", "no labelled texts"),
    ],
)
def test_data_without_tags_is_one_line_that_names_what_is_expected(
    folder, tmp_path, capsys, command, name, content, part
):
    (tmp_path / name).write_text(content)
    more = {"calibrate": ("--name", "x", "--max-drop", 1), "compare": ("--output", tmp_path / "out")}.get(command, ())
    capsys.readouterr()
    if command == "calibrate" and part.startswith("no "):  # it can do without labels; then the texts are too few
        part = "text"
    assert run(command, "--model", folder / "model", "--data", tmp_path / name, *more) == 2
    err = capsys.readouterr().err
    assert part in err and err.count("\n") == 1


def test_python_data_without_tags_names_what_is_expected(folder):
    classifier = Classifier.load(folder / "model", dtype="float32", threads=1)
    for data in ({"text": ["a film"]}, {"tokens": [["a", "film"]]}, ["a film"]):
        with pytest.raises(DataError, match="no tags; expected the columns tokens and tags"):
            classifier.evaluate(data, policies=["full"])


def test_training_data_without_tags_is_named(folder, tmp_path, capsys):
    (tmp_path / "none.conll").write_text("")
    capsys.readouterr()
    arguments = ("train", "--task", "token-classification", "--model", folder / "start", "--output", tmp_path / "out")
    assert run(*arguments, "--train", tmp_path / "none.conll") == 2
    assert f"{tmp_path / 'none.conll'}: no tags found; expected" in capsys.readouterr().err
