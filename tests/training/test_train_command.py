"""``elbert train``: flags over presets over defaults, and every mistake reported in one line."""

import json

import pytest
from small import MILD, STILL, record_of, rows, same, weights_of, write_rows

from elbert.classifier import Classifier
from elbert.cli.commands import train as command
from elbert.cli.commands.train import exit_options
from elbert.cli.main import main, parser
from elbert.training.arguments import parse_arguments
from elbert.training.options import PRESETS, ExitOptions
from tiny import write_bundle


@pytest.fixture
def files(tmp_path, monkeypatch):
    write_bundle(tmp_path / "start", **STILL, **MILD)
    write_rows(tmp_path / "train.jsonl", rows(16))
    write_rows(tmp_path / "dev.jsonl", rows(8, seed=1))
    monkeypatch.chdir(tmp_path)  # nothing is to be written elsewhere either
    return tmp_path


def call(folder, *more, **changes):
    flags = {
        "model": folder / "start",
        "train": folder / "train.jsonl",
        "validation": folder / "dev.jsonl",
        "output": folder / "out",
    } | changes
    always = ["--use_cpu", "--max_steps", "1", "--per_device_train_batch_size", "4"]
    return main(["train", *[str(p) for k, v in flags.items() for p in (f"--{k}", v)], *always, *map(str, more)])


def error_line(capsys, status):
    """The one line on standard error."""
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("elbert: error: ")
    return lines[0]


def test_a_run_tells_what_it_wrote(files, capsys):
    assert call(files, "--weighting", "learned", "--learning_rate", "1e-3") == 0
    out, err = capsys.readouterr()
    metrics = record_of(files / "out")["metrics"]
    full, area = (f"{metrics[name]:.1%}" for name in ("eval_accuracy", "eval_area"))
    scores = f"accuracy {full} at full depth, {area} on average over depths"
    assert out == f"{files / 'out'}: {scores}, on {files / 'dev.jsonl'}\n"
    assert "depth      1     2     3     4     5     6" in err
    assert Classifier.load(files / "out").labels == ("negative", "positive")


def test_labels_come_from_data_flag_or_labels_json(files, capsys):
    assert call(files, "--labels", "positive, negative") == 0
    assert Classifier.load(files / "out").labels == ("positive", "negative")
    for name, labels in (("train", [0, 1, 2]), ("dev", [1, 2])):
        write_rows(files / f"{name}.jsonl", [("a film", label) for label in labels * 4])
    assert call(files, output=files / "indices") == 0
    assert "the exit head is new, for 3 labels" in capsys.readouterr().err
    assert Classifier.load(files / "indices").labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    (files / "labels.json").write_text(json.dumps(["bad", "fair", "good"]))
    assert call(files, output=files / "named") == 0
    assert Classifier.load(files / "named").labels == ("bad", "fair", "good")


def test_other_problems(files, capsys):
    several = [("good film", ["a"]), ("bad film", ["a", "b"]), ("film", [])] * 4
    write_rows(files / "train.jsonl", several)
    write_rows(files / "dev.jsonl", several)
    assert call(files, "--problem", "multi-label", output=files / "several") == 0
    assert Classifier.load(files / "several").bundle.config.multi_label
    values = [("good film", 1.5), ("bad film", -2)] * 4
    write_rows(files / "train.jsonl", values)
    write_rows(files / "dev.jsonl", values)
    assert call(files, "--problem", "regression", output=files / "value") == 0
    assert Classifier.load(files / "value").bundle.config.problem == "regression"


def write_labelled(path, labels):
    """A file of the ending's format; in tables, texts are written as they are and other labels as JSON."""
    cells = [label if isinstance(label, str) else json.dumps(label) for label in labels]
    sentences = [text for text, _ in rows(len(labels))]
    if path.suffix == ".jsonl":
        return write_rows(path, zip(sentences, labels, strict=True))
    mark = "\t" if path.suffix == ".tsv" else ","
    quoted = [f'"{cell}"' if "," in cell and mark == "," else cell for cell in cells]
    path.write_text(f"text{mark}label\n" + "".join(f"{t}{mark}{c}\n" for t, c in zip(sentences, quoted, strict=True)))
    return str(path)


@pytest.mark.filterwarnings("always::elbert.ConditionsWarning")
def test_floats_and_whole_numbers_are_the_same_classes(files, capsys):
    wholes = [i % 2 + 10 * (i % 5 == 0) for i in range(24)]  # 0, 1, 10, 11: as texts, 10 would come before 2
    names = ",".join(f"class {i}" for i in range(12))
    forms = {"floats.csv": [f"{i}.0" for i in wholes], "wholes.csv": wholes}
    written = {name: write_labelled(files / name, labels) for name, labels in forms.items()}
    for name, path in written.items():
        assert call(files, "--labels", names, train=path, validation=path, output=files / f"{name}-out") == 0
    models = [files / f"{name}-out" for name in written]
    assert len({Classifier.load(model).labels for model in models}) == 1
    assert all(same(weights_of(models[0]), weights_of(model)) for model in models[1:])
    capsys.readouterr()
    found = set()
    for path in written.values():
        assert main(["evaluate", "--model", str(models[0]), "--data", path, "--rounds", "0", "--json"]) == 0
        out, err = capsys.readouterr()
        assert "100% of these texts are among those that this model was trained or validated on" in err
        report = json.loads(out)
        found.add(json.dumps({key: value for key, value in report.items() if key != "data"}))
    assert len(found) == 1


def test_names_of_floats_are_those_of_whole_numbers(files):
    for name, labels in (("train.csv", [f"{i}.0" for i in range(12)]), ("dev.csv", list(range(12)))):
        write_labelled(files / name, labels)
    assert call(files, train=files / "train.csv", validation=files / "dev.csv") == 0
    assert Classifier.load(files / "out").labels == tuple(f"LABEL_{i}" for i in range(12))


def test_vectors_of_two_labels_train_as_lists_of_names_do(files):
    vectors = [[1, 0], [0, 1], [1, 1], [0, 0]] * 3
    lists = [[name for name, bit in zip(("LABEL_0", "LABEL_1"), row, strict=True) if bit] for row in vectors]
    forms = {"vectors.jsonl": vectors, "vectors.csv": vectors, "lists.tsv": [";".join(row) for row in lists]}
    models = []
    for name, labels in forms.items():
        path = write_labelled(files / name, labels)
        models.append(files / f"{name}-out")
        assert call(files, "--problem", "multi-label", train=path, validation=path, output=models[-1]) == 0
        assert Classifier.load(models[-1]).labels == ("LABEL_0", "LABEL_1")
        assert same(weights_of(models[0]), weights_of(models[-1]))


@pytest.mark.parametrize(
    ("labels", "flags", "line", "why"),
    [
        (["0", "1", "-1"], (), 4, "label '-1' is neither a name nor an index"),
        (["0", "1", "story"], (), 4, "mixes names ('story') with indices ('0'), see line 2"),
        (["5411", "0742"], (), 3, "mixes names ('0742') with indices ('5411')"),
        (["5411", "5812"], (), 3, "name the classes with --labels=5411,5812 or in labels.json"),
        (["5411", "5812", "7"], ("--labels=5411,5812",), 4, "unknown label '7'; expected one of 5411, 5812"),
        (["a", "[0, 1]"], (), 3, "lists need --problem multi-label"),
        (["a", "b,c"], ("--problem", "multi-label"), 3, "separate labels with ;"),
        (["1.5", "much"], ("--problem", "regression"), 3, "expected a finite number"),
    ],
)
def test_labels_that_cannot_be_read_are_named(files, capsys, labels, flags, line, why):
    path = write_labelled(files / "bad.tsv", labels)
    message = error_line(capsys, call(files, *flags, train=path))
    assert message.startswith(f"elbert: error: {path}:{line}: ") and why in message
    assert not (files / "out" / "config.json").exists()


def test_max_length_cuts(files, monkeypatch):
    seen = []
    monkeypatch.setattr("elbert.training.run.Collator.__call__", collecting(seen))
    assert call(files, "--max-length", "6") == 0
    assert max(seen) == 6


def test_the_folder_cuts_where_training_did(files):
    assert call(files, "--max-length", "6") == 0
    classifier = Classifier.load(files / "out")
    assert classifier.tokeniser.max_length == 6


def collecting(seen):
    from elbert.training.features import Collator

    whole = Collator.__call__

    def collate(self, features):
        batch = whole(self, features)
        seen.append(batch["input_ids"].shape[1])
        return batch

    return collate


# --- flags ----------------------------------------------------------------------------------------------------------


def test_the_best_checkpoint_is_chosen_by_area():
    theirs = parse_arguments("out", {}, [])
    assert (theirs.metric_for_best_model, theirs.greater_is_better, theirs.load_best_model_at_end) == (
        "area",
        True,
        True,
    )
    assert theirs.eval_strategy == theirs.save_strategy == "epoch"
    assert theirs.report_to == []


def test_there_is_a_warm_up_unless_the_paper_is_followed():
    assert parse_arguments("out", PRESETS["default"][1], []).get_warmup_steps(1000) == 100
    assert parse_arguments("out", PRESETS["paper"][1], []).get_warmup_steps(1000) == 0


@pytest.mark.parametrize(
    ("preset", "flags", "expected"),
    [
        ("default", [], {"learning_rate": None, "per_device_train_batch_size": None, "logging_steps": 50}),
        ("default", ["--learning_rate", "1e-4"], {"learning_rate": 1e-4, "num_train_epochs": None}),
        ("default", ["--warmup_steps", "7"], {"warmup_steps": 7}),
        ("paper", [], {"learning_rate": 3e-5, "num_train_epochs": 3.0, "weight_decay": 0.0, "max_grad_norm": 1.0}),
        (
            "paper",
            ["--max_grad_norm", "0.5", "--seed", "7"],
            {"max_grad_norm": 0.5, "seed": 7, "num_train_epochs": 3.0},
        ),
        ("paper", ["--learning-rate=2e-5"], {"learning_rate": 2e-5}),
        ("default", ["--logging_steps", "5", "--save_total_limit", "9"], {"logging_steps": 5, "save_total_limit": 9}),
        ("default", ["--label_smoothing_factor", "0.1"], {"label_smoothing_factor": 0.1}),
        ("default", ["--load_best_model_at_end", "False"], {"load_best_model_at_end": False}),
    ],
)
def test_flags_override_presets_and_presets_override_our_defaults(preset, flags, expected):
    theirs = parse_arguments("out", PRESETS[preset][1], flags)
    assert {name: getattr(theirs, name) for name in expected} == expected


def test_exit_flags_win_over_the_preset():
    common = ["train", "--model", "m", "--train", "t", "--validation", "v", "--output", "o"]

    def options(*flags):
        arguments, extra = parser().parse_known_args([*common, *flags])
        assert not extra
        return ExitOptions(**(PRESETS[arguments.preset][0] | exit_options(arguments)))

    assert options() == ExitOptions()
    paper = options("--preset", "paper")
    assert (paper.weighting, paper.weight_floor, paper.weight_rate) == ("learned", 0.0, 0.01)
    changed = options("--preset", "paper", "--weight-floor", "0.2", "--weighting", "linear", "--exit-heads", "2")
    assert (changed.weighting, changed.weight_floor, changed.exit_heads, changed.weight_rate) == (
        "linear",
        0.2,
        2,
        0.01,
    )
    every = {
        "weighting": "learned", "last_share": 0.4, "weight_floor": 0.5, "weight_rate": 0.5, "weight_schedule": "same",
        "distillation": 0.5, "temperature": 2.0, "pooling": "mean", "exit_heads": 2, "patience": 3,
        "head_start": "random",
    }  # fmt: skip
    assert vars(options(*[p for k, v in every.items() for p in (f"--{k.replace('_', '-')}", str(v))])) == every


def test_no_flag_of_ours_hides_one_of_transformers():
    from dataclasses import fields

    from transformers import TrainingArguments

    ours = vars(parser().parse_args(["train", "--model", "m", "--train", "t", "--validation", "v", "--output", "o"]))
    assert not set(ours) & {field.name for field in fields(TrainingArguments)}
    assert command.TAKES_MORE


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--nonsense", "3"], "unknown argument '--nonsense'"),
        (["stray"], "unknown argument 'stray'"),
        (["--learning_rat", "3"], "unknown argument '--learning_rat'"),
        (["--learning_rate", "fast"], "argument --learning_rate"),
        (["--eval_strategy", "never"], "--eval_strategy"),
        (["--save_strategy", "steps"], "expected the same for both, or load_best_model_at_end false"),
        (["--output_dir", "elsewhere"], "--output_dir elsewhere: the folder to write is --output"),
        (["--weight-floor", "2"], "weight_floor is 2.0, expected a number from 0 to 1"),
        (["--exit-heads", "7"], "exit_heads is 7, expected a whole number from 1 to 6"),
        (["--labels", "a,,b"], "expected distinct names"),
        (["--resume_from_checkpoint", "last"], "no checkpoint to resume from"),
        (["--push_to_hub"], "'out': the hub cannot be written to"),  # tests are offline
        (["--push_to_hub", "--hub_model_id", "me/mine"], "check the name, the network and the login"),
    ],
)
def test_a_wrong_flag_is_reported_in_one_line(files, capsys, flags, message):
    assert message in error_line(capsys, call(files, *flags))
    assert not (files / "out").exists()


def test_wrong_files_are_reported_in_one_line(files, capsys):
    assert "no such folder" in error_line(capsys, call(files, model=files / "nowhere"))
    assert "nowhere.csv" in error_line(capsys, call(files, train=files / "nowhere.csv"))
    assert "nowhere.csv" in error_line(capsys, call(files, validation=files / "nowhere.csv"))
    write_rows(files / "dev.jsonl", [("fine", "positive"), ("so so", "neutral")])
    line = error_line(capsys, call(files))
    assert f"{files / 'dev.jsonl'}:2: unknown label 'neutral'; expected one of negative, positive" in line
    write_rows(files / "train.jsonl", [("fine", "positive")] * 4)
    assert "takes two labels or more, got positive" in error_line(capsys, call(files))
    (files / "out").mkdir()
    (files / "out" / "config.json").write_text("{}")
    assert "already holds a model" in error_line(capsys, call(files))
