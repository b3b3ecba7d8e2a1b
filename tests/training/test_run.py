"""Whole runs: files in, a folder out that our classifier and plain transformers read alike."""

import json
import logging
import os
import re

import numpy as np
import pytest
import torch
from small import LABELS, MILD, RANDOM, STILL, record_of, rows, run, same, weights_of
from transformers import CONFIG_MAPPING, AlbertConfig, AlbertModel, AutoModelForSequenceClassification, AutoTokenizer

from elbert.classifier import Classifier
from elbert.data import read_examples
from elbert.errors import BadRow, BundleError, DataError, InputError
from elbert.evaluation import collect, evaluate, parse_target
from elbert.model.reference.albert import ElbertForSequenceClassification
from elbert.tasks import TASKS
from elbert.training import checks
from elbert.training import run as run_module
from elbert.training.trainer import EXIT_WEIGHTS
from tiny import SIZES, rewrite_weights, write_bundle, write_tokenizer

PICKLES = (".bin", ".pt", ".pth", ".pkl")
ABC = ("a", "b", "c")
SETTINGS = 10  # lines with which a run begins


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run with learned weights that everybody looks at: its folder, metrics, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    options = {"weighting": "learned", "weight_rate": 0.1}
    metrics, output = run(folder, folder / "out", options=options, num_train_epochs=12, learning_rate=5e-3)
    return folder, metrics, output


def evaluated(model, file):
    """By-depth metrics of a folder, with the evaluation package."""
    classifier = Classifier.load(model)
    config = classifier.bundle.config
    examples = list(read_examples(str(file)))
    labels = [parse_target(e, config.labels, config.task) for e in examples]
    return evaluate(collect(classifier, [e.text for e in examples], labels), {}).by_depth


def test_something_is_learned(trained):
    folder, metrics, _ = trained
    before = evaluated(folder / "start", folder / "dev.jsonl")
    assert metrics["eval_area"] > np.mean([m["accuracy"] for m in before]) + 0.1
    assert metrics["eval_accuracy"] > 0.8


def test_evaluation_finds_what_training_reported(trained):
    folder, metrics, _ = trained
    found = [m["accuracy"] for m in evaluated(folder / "out", folder / "dev.jsonl")]
    assert found == pytest.approx([metrics[f"eval_depth_{m}"] for m in range(1, 7)])
    assert metrics["eval_area"] == pytest.approx(np.mean(found))
    assert metrics["eval_accuracy"] == found[-1]
    assert record_of(folder / "out")["metrics"] == metrics


def test_plain_transformers_reads_the_folder(trained):
    folder = trained[0] / "out"
    plain, loading = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values()), loading
    assert type(plain).__name__ == "AlbertForSequenceClassification"
    assert plain.config.id2label == dict(enumerate(LABELS))
    sentences = ["a great film", "awful"]
    batch = AutoTokenizer.from_pretrained(folder)(sentences, padding=True, return_tensors="pt")
    with torch.inference_mode():
        theirs = plain.eval()(**batch).logits.softmax(-1)
    ours = Classifier.load(folder).predict(sentences, "full")
    assert [list(p.scores.values()) for p in ours] == pytest.approx(
        [pytest.approx(row, abs=1e-5) for row in theirs.tolist()]
    )


def test_the_folder_is_plain(trained):
    folder = trained[0] / "out"
    files = [f for f in folder.iterdir() if f.is_file()]
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= {f.name for f in files}
    assert not [f.name for f in files if f.suffix in PICKLES]
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "albert"
    assert not [name for name in weights_of(folder) if "t" in name.split(".")]
    assert set(weights_of(folder)) == set(weights_of(folder.parent / "start"))


def test_learned_weights_are_printed_and_recorded(trained):
    folder, _, output = trained
    weights = record_of(folder / "out")["exit_weights"]
    assert sum(weights) == pytest.approx(6)
    assert weights[:-1] != pytest.approx([0.1 + 0.9 * 0.98201] * 5, abs=1e-4)
    lines = output.splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("depth "))
    depth, score, _ = lines[last : last + 3]
    assert depth.split() == ["depth", *"123456"]
    assert len(score.split()) == 7
    printed = [[float(w) for w in line.split()[1:]] for line in lines if line.startswith("weight ")]
    assert any(row == pytest.approx(weights, abs=0.0051) for row in printed)  # those of the kept checkpoint
    assert "collapsed" not in output.split("epoch 12 of 12")[-1]


def test_there_is_one_report_for_each_epoch(trained):
    """In words, with the loss of one depth on average, and without the lines of other libraries."""
    lines = trained[2].splitlines()
    reports = [line for line in lines if line.startswith("epoch ")]
    assert [line.split(":")[0] for line in reports] == [f"epoch {n} of 12" for n in range(1, 13)]
    form = r"accuracy [\d.]+% at full depth, [\d.]+% on average over depths; loss (\S+) \(mean of the depths\)"
    losses = [float(re.search(form, line)[1]) for line in reports]
    assert all(0 < loss < 1.5 for loss in losses)  # log 2 is 0.69; the sum over six depths is above 3 at first
    assert all(re.search(r"; about \d+ (s|min) left$", line) for line in reports[:-1])
    assert "left" not in reports[-1]
    known = ("epoch ", "depth ", "score ", "weight ", "warning: ", "for comparison: ", "advice: ")
    assert all(line.startswith(known) for line in lines[SETTINGS:])


def test_a_plain_encoder_can_be_trained(tmp_path):
    torch.manual_seed(0)
    encoder = AlbertModel(AlbertConfig(vocab_size=44, **SIZES))
    encoder.save_pretrained(tmp_path / "encoder")
    write_tokenizer(tmp_path / "encoder")
    some = {"model": tmp_path / "encoder", "max_steps": 1, "learning_rate": 0, "options": {"head_start": "random"}}
    run(tmp_path, tmp_path / "one", **some, seed=3)
    torch.rand(100)  # what was drawn before a run must not matter
    run(tmp_path, tmp_path / "two", **some, seed=3)
    run(tmp_path, tmp_path / "three", **some, seed=4)
    one, two, three = (weights_of(tmp_path / name) for name in ("one", "two", "three"))
    assert same(one, two)
    assert torch.equal(one["albert.pooler.weight"], encoder.pooler.weight)
    assert not torch.equal(one["classifier.weight"], three["classifier.weight"])  # the seed is the new head's too


def test_a_head_of_another_size_starts_anew(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    found = [(text, ABC[i % 3]) for i, (text, _) in enumerate(rows(24))]
    run(tmp_path, tmp_path / "out", found=found, validation=found[:6], labels=ABC, max_steps=1, learning_rate=0)
    assert not [line for line in caplog.messages if "MISMATCH" in line or "initialized" in line]  # the normal case
    before, after = weights_of(tmp_path / "start"), weights_of(tmp_path / "out")
    assert after["classifier.weight"].shape == (3, 32)
    assert all(torch.equal(after[k], before[k]) for k in before if not k.startswith(("classifier.", "albert.pooler.")))
    assert Classifier.load(tmp_path / "out").labels == ABC
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config.num_labels == 3


def test_a_head_of_the_same_size_goes_on(tmp_path):
    run(tmp_path, tmp_path / "out", max_steps=1, learning_rate=0)
    assert same(weights_of(tmp_path / "start"), weights_of(tmp_path / "out"))


@pytest.mark.parametrize(
    ("changes", "kept"),
    [({"pooling": "mean"}, {"pooling": "mean"}), ({"exit_heads": 3}, {"exit_heads": 3})],
    ids=["mean", "heads"],
)
def test_what_plain_albert_cannot_compute(tmp_path, changes, kept, monkeypatch):
    metrics, _ = run(tmp_path, tmp_path / "out", options=changes, num_train_epochs=1)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["model_type"] == "elbert"
    assert {name: config[name] for name in kept} == kept
    auto = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert type(auto) is ElbertForSequenceClassification
    monkeypatch.delitem(CONFIG_MAPPING._extra_content, "elbert")  # where elbert is not imported
    with pytest.raises(ValueError, match="elbert"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    found = [m["accuracy"] for m in evaluated(tmp_path / "out", tmp_path / "dev.jsonl")]
    assert found == pytest.approx([metrics[f"eval_depth_{m}"] for m in range(1, 7)])
    # Trained further without options, the form of the head is kept.
    run(tmp_path, tmp_path / "more", model=tmp_path / "out", max_steps=1)
    config = json.loads((tmp_path / "more" / "config.json").read_text())
    assert {name: config[name] for name in kept} == kept


def test_several_labels_end_to_end(tmp_path):
    words = ("great", "dull", "love")
    found = [
        (" ".join(w for j, w in enumerate(words) if i >> j & 1) or "film", [ABC[j] for j in range(3) if i >> j & 1])
        for i in range(32)
    ]
    metrics, _ = run(
        tmp_path,
        tmp_path / "out",
        found=found,
        validation=found[:8],
        labels=ABC,
        task="multi_label_classification",
        options={"weighting": "learned", "distillation": 0.3},
        num_train_epochs=24,
        learning_rate=5e-3,
    )
    by_depth = evaluated(tmp_path / "out", tmp_path / "dev.jsonl")
    classifier = Classifier.load(tmp_path / "out")
    assert classifier.bundle.config.multi_label
    assert metrics["eval_accuracy"] > 0.85
    assert len(by_depth) == 6
    predictions = classifier.predict([text for text, _ in found[:8]], "full")
    right = [
        (p.scores[name] > 0.5) == (name in labels)
        for p, (_, labels) in zip(predictions, found[:8], strict=True)
        for name in ABC
    ]
    assert np.mean(right) == pytest.approx(metrics["eval_accuracy"])
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert plain.config.problem_type == "multi_label_classification"


def test_regression_end_to_end(tmp_path):
    found = [(text, 1.5 if label == "positive" else -0.5) for text, label in rows(48)]
    metrics, _ = run(
        tmp_path,
        tmp_path / "out",
        found=found,
        validation=found[:12],
        labels=["value"],
        task="regression",
        num_train_epochs=8,
        learning_rate=5e-3,
    )
    predictions = Classifier.load(tmp_path / "out").predict([text for text, _ in found[:12]])
    squared = np.mean([(p.score - value) ** 2 for p, (_, value) in zip(predictions, found[:12], strict=True)])
    assert -squared == pytest.approx(metrics["eval_minus_mse"], rel=1e-4)
    assert metrics["eval_minus_mse"] == metrics["eval_depth_6"]
    assert metrics["eval_area"] == pytest.approx(np.mean([metrics[f"eval_depth_{m}"] for m in range(1, 7)]))
    config = Classifier.load(tmp_path / "out").bundle.config
    assert config.label_deviation == pytest.approx(np.std([value for _, value in found]))
    assert squared < 0.8  # guessing the mean gives 1
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config.problem_type == "regression"


def test_values_far_from_zero_start_at_their_mean(tmp_path):
    """From 0 the first gradients only move all values to the mean, and a shared head can stay there."""
    found = [(text, 101.5 if label == "positive" else 99.5) for text, label in rows(24)]
    some = {"found": found, "validation": found, "labels": ["value"], "task": "regression"}
    run(tmp_path, tmp_path / "out", **some, options={"head_start": "random"}, max_steps=1, learning_rate=1e-6)
    classifier = Classifier.load(tmp_path / "out")
    expected = pytest.approx(np.mean([value for _, value in found]), abs=1)
    for spec in ("depth(1)", "full"):
        assert [p.score for p in classifier.predict([text for text, _ in found], spec)] == [expected] * len(found)


def test_pairs_are_trained_as_pairs(tmp_path):
    write_bundle(tmp_path / "start", **STILL, **MILD)
    (tmp_path / "pairs.jsonl").write_text('{"text": "good", "text_pair": "bad film", "label": 0}\n')
    from elbert.tokenization import Tokeniser
    from elbert.training.features import Collator, load_features

    tokeniser = Tokeniser.load(tmp_path / "start", 64)
    (found,) = load_features(str(tmp_path / "pairs.jsonl"), tokeniser, LABELS, TASKS["single_label_classification"])
    batch = Collator(0)([found, {"input_ids": [2, 3], "token_type_ids": [0, 0], "labels": 1}])
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1], [0] * 6]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 0, 0, 0, 0]]
    assert batch["labels"].tolist() == [0, 1]


def test_the_best_area_is_kept_though_the_last_depth_disagrees(tmp_path, monkeypatch):
    """The second of three epochs has the best area, the third the best last depth."""
    # The first ones are those of the trial before training.
    areas, lasts = iter([0.95, 0.6, 0.9, 0.5, 0.9]), iter([0.0, 0.1, 0.2, 0.9, 0.2])

    def constant_metrics(problem):
        depths = {f"depth_{m}": 0.5 for m in range(1, 7)}
        return lambda _: depths | {"area": next(areas), "area_error": 0.1, "accuracy": next(lasts), "one_class": 0.0}

    monkeypatch.setattr(run_module, "build_metrics", constant_metrics)
    learned = {"weighting": "learned", "weight_rate": 0.3}
    run(tmp_path, tmp_path / "out", options=learned, num_train_epochs=3, save_total_limit=3)
    state = json.loads((tmp_path / "out" / "checkpoint-18" / "trainer_state.json").read_text())
    assert state["best_metric"] == 0.9
    assert state["best_model_checkpoint"].endswith("checkpoint-12")
    kept = weights_of(tmp_path / "out")
    assert same(kept, weights_of(tmp_path / "out" / "checkpoint-12"))
    assert not same(kept, weights_of(tmp_path / "out" / "checkpoint-18"))
    # The weights on record are those of the checkpoint that was kept.
    from safetensors.torch import load_file

    t = load_file(tmp_path / "out" / "checkpoint-12" / EXIT_WEIGHTS)["t"]
    earlier = 0.1 + 0.9 * t.sigmoid()
    assert record_of(tmp_path / "out")["exit_weights"][:-1] == pytest.approx(earlier.tolist())


def test_a_collapse_is_warned_of(tmp_path):
    write_bundle(tmp_path / "start", **STILL, **MILD)

    def collapse(weights):
        weights["classifier.weight"] = torch.zeros(2, 32)
        weights["classifier.bias"] = torch.tensor([0.0, 5.0])

    rewrite_weights(tmp_path / "start", collapse)
    _, output = run(tmp_path, tmp_path / "out", max_steps=1, learning_rate=0)
    assert "warning: every depth predicts one class for every text: the training has collapsed" in output
    assert "lower --learning_rate or raise --warmup_steps" in output


# --- resuming -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of 12 steps, with dropout, that kept every third step."""
    folder = tmp_path_factory.mktemp("whole")
    write_bundle(folder / "start", **RANDOM, **MILD)
    every = {"save_strategy": "steps", "save_steps": 3, "eval_strategy": "steps", "eval_steps": 3}
    run(
        folder,
        folder / "out",
        options={"weighting": "learned", "weight_rate": 0.2},
        save_total_limit=9,
        load_best_model_at_end=False,
        **every,
    )
    return folder, every


@pytest.mark.parametrize("step", [3, 6, 9])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(whole, tmp_path, step):
    folder, every = whole
    run(
        folder,
        tmp_path / "out",
        options={"weighting": "learned", "weight_rate": 0.2},
        load_best_model_at_end=False,
        resume_from_checkpoint=folder / "out" / f"checkpoint-{step}",
        **every,
    )
    assert record_of(tmp_path / "out")["exit_weights"] == record_of(folder / "out")["exit_weights"]
    assert record_of(tmp_path / "out")["steps"] == 12
    assert same(weights_of(tmp_path / "out"), weights_of(folder / "out"))
    assert not same(weights_of(folder / "out"), weights_of(folder / "out" / f"checkpoint-{step}"))


def test_last_is_the_latest_checkpoint_of_the_folder(whole):
    folder, every = whole
    before = record_of(folder / "out")
    metrics, _ = run(
        folder,
        folder / "out",
        options={"weighting": "learned", "weight_rate": 0.2},
        load_best_model_at_end=False,
        save_total_limit=9,
        resume_from_checkpoint="last",
        **every,
    )
    after = record_of(folder / "out")
    assert after["exit_weights"] == before["exit_weights"]
    assert metrics["eval_area"] == before["metrics"]["eval_area"]


def test_exit_weights_must_be_there_to_resume(whole, tmp_path):
    import shutil

    folder, every = whole
    checkpoint = tmp_path / "checkpoint-3"
    shutil.copytree(folder / "out" / "checkpoint-3", checkpoint)
    again = {"resume_from_checkpoint": checkpoint, "load_best_model_at_end": False, **every}
    with pytest.raises(DataError, match=r"exit_weights\.safetensors: .*written with learned exit weights"):
        run(folder, tmp_path / "out", options={"weighting": "equal"}, **again)
    (checkpoint / EXIT_WEIGHTS).unlink()
    with pytest.raises(DataError, match=r"exit_weights\.safetensors: missing"):
        run(folder, tmp_path / "out", options={"weighting": "learned"}, **again)


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no checkpoint to resume from"):
        run(tmp_path, tmp_path / "out", resume_from_checkpoint="last")
    with pytest.raises(InputError, match="nowhere: no checkpoint"):
        run(tmp_path, tmp_path / "out", resume_from_checkpoint=tmp_path / "nowhere")


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_folder_in_use_is_left_alone(trained, tmp_path):
    folder = trained[0]
    before = sorted((f, os.stat(f).st_mtime_ns) for f in (folder / "out").rglob("*"))
    with pytest.raises(InputError, match="already holds a model: choose another --output"):
        run(folder, folder / "out")
    assert before == sorted((f, os.stat(f).st_mtime_ns) for f in (folder / "out").rglob("*"))
    (tmp_path / "out" / "checkpoint-7").mkdir(parents=True)
    with pytest.raises(InputError, match="checkpoints of an earlier run: --resume_from_checkpoint last"):
        run(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("which", ["found", "validation"])
def test_a_bad_label_is_named_by_file_and_line(tmp_path, which):
    bad = [*rows(3), ("fine", "neutral"), *rows(3)]
    with pytest.raises(
        BadRow, match=r"\.jsonl:4: unknown label 'neutral'; expected one of negative, positive"
    ) as caught:
        run(tmp_path, tmp_path / "out", **{which: bad})
    assert ("train" if which == "found" else "dev") in str(caught.value)
    assert not (tmp_path / "out" / "config.json").exists()


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="no examples"):
        run(tmp_path, tmp_path / "out", found=[])
    with pytest.raises(BadRow, match=r"dev\.jsonl:1: no label"):
        run(tmp_path, tmp_path / "out", validation=[("text", None)])


def test_labels_must_fit_the_problem(tmp_path):
    for labels, task, message in [
        (["one"], "single_label_classification", "takes two labels or more, got one"),
        (["a", "a"], "single_label_classification", "expected distinct names"),
        (["a", ""], "single_label_classification", "expected distinct names"),
        ([], "multi_label_classification", "one label or more, got none"),
        (["a", "b"], "regression", "takes one label, got a, b"),
    ]:
        with pytest.raises(InputError, match=message):
            run(tmp_path, tmp_path / "out", labels=labels, task=task)
    with pytest.raises(InputError, match="label_smoothing_factor is for single-label"):
        run(tmp_path, tmp_path / "out", labels=["value"], task="regression", label_smoothing_factor=0.1)


def test_models_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="exit_heads is 7, expected a whole number from 1 to 6"):
        run(tmp_path, tmp_path / "out", options={"exit_heads": 7})
    start = tmp_path / "start"
    rewrite_weights(start, lambda weights: weights.pop("albert.embeddings.word_embeddings.weight"))
    with pytest.raises(BundleError, match=r"no weights that fit for albert\.embeddings\.word_embeddings\.weight"):
        run(tmp_path, tmp_path / "out")
    (start / "model.safetensors").unlink()
    with pytest.raises(BundleError, match="weights cannot be read"):
        run(tmp_path, tmp_path / "out")
    config = json.loads((start / "config.json").read_text())
    (start / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(BundleError, match="model_type is 'bert', expected 'albert'"):
        run(tmp_path, tmp_path / "out")


def test_label_smoothing_reaches_the_objective(tmp_path):
    (plain, _), (smoothed, _) = (
        run(tmp_path, tmp_path / name, max_steps=1, learning_rate=0, label_smoothing_factor=share)
        for name, share in (("plain", 0.0), ("smoothed", 0.5))
    )
    assert smoothed["eval_loss"] != pytest.approx(plain["eval_loss"], rel=1e-3)


def test_no_batch_is_split_over_devices_within_a_process(tmp_path):
    import io

    from rich.console import Console
    from small import arguments

    theirs, output = arguments(tmp_path), io.StringIO()
    theirs._n_gpu = 4
    checks.use_one_device(theirs, Console(file=output))
    assert theirs.n_gpu == 1
    assert theirs.train_batch_size == 8
    assert "torchrun" in output.getvalue()


def test_the_reference_reads_what_was_trained(trained):
    model = ElbertForSequenceClassification.from_pretrained(trained[0] / "out")
    assert model.config.is_plain_albert
    assert model.dtype == torch.float32
