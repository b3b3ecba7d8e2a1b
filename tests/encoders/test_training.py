"""``elbert train`` on such encoders: every depth learns, and what is written is transformers' own kind of folder."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from elbert.classifier import Classifier
from elbert.cli.main import main
from elbert.data import read_examples
from elbert.errors import InputError
from elbert.evaluation import collect, evaluate, parse_target
from elbert.model.families import BY_MODEL_TYPE
from elbert.training.checks import check_heads
from tiny import rewrite_weights, texts
from tiny_encoders import plain_class, write_encoder

LABELS = ("negative", "positive")
MILD = {"initializer_range": 0.15}


def rows(n, seed=0):
    """Texts in which one word tells the label."""
    return [(f"{('awful', 'great')[i % 2]} {text}", LABELS[i % 2]) for i, text in enumerate(texts(n, seed, longest=8))]


def write_rows(path, found):
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in found))
    return str(path)


def run(folder, model, output, *flags):
    """The command itself, on tiny data."""
    files = write_rows(folder / "train.jsonl", rows(48)), write_rows(folder / "dev.jsonl", rows(20, seed=1))
    defaults = {"--use_cpu": "True", "--per_device_train_batch_size": "8", "--learning_rate": "2e-3"}
    shared = [part for pair in defaults.items() if pair[0] not in flags for part in pair]
    return main(["train", "--model", str(model), "--train", files[0], "--validation", files[1],
                 "--output", str(output), *shared, *flags])  # fmt: skip


@pytest.fixture(scope="module")
def trained(family, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_encoder(folder / "start", family, **MILD)
    flags = (
        "--weighting",
        "learned",
        "--weight-rate",
        "0.1",
        "--distillation",
        "0.2",
        "--num_train_epochs",
        "8",
        "--bf16",
        "false",
    )  # in bfloat16 one answer can differ from those of float32
    assert run(folder, folder / "start", folder / "out", *flags) == 0
    return folder


def test_every_depth_learns_and_evaluation_finds_what_training_reported(trained):
    classifier = Classifier.load(trained / "out")
    config = classifier.bundle.config
    examples = list(read_examples(str(trained / "dev.jsonl")))
    labels = [parse_target(e, config.labels, config.task) for e in examples]
    found = [m["accuracy"] for m in evaluate(collect(classifier, [e.text for e in examples], labels), {}).by_depth]
    record = json.loads((trained / "out" / "training.json").read_text())
    assert found == pytest.approx([record["metrics"][f"eval_depth_{m}"] for m in range(1, 7)])
    assert np.mean(found) > 0.75
    assert len(record["exit_weights"]) == 6
    assert sum(record["exit_weights"]) == pytest.approx(6)


def test_plain_transformers_reads_what_was_trained(trained, family):
    folder = trained / "out"
    plain, loading = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values()), loading
    assert type(plain) is plain_class(family)
    assert plain.config.id2label == dict(enumerate(LABELS))
    sentences = ["a great film", "awful", "i love the journey but the ending was slow"]
    batch = AutoTokenizer.from_pretrained(folder)(sentences, padding=True, return_tensors="pt")
    with torch.inference_mode():
        theirs = plain.eval()(**batch).logits.softmax(-1)
    ours = Classifier.load(folder).predict(sentences, "full")
    scores = torch.tensor([list(p.scores.values()) for p in ours])
    torch.testing.assert_close(scores, theirs, atol=1e-5, rtol=1e-5)


def test_the_paper_preset_and_resuming(trained, tmp_path):
    every = ("--preset", "paper", "--save_strategy", "steps", "--save_steps", "3", "--eval_strategy", "steps",
             "--eval_steps", "3", "--max_steps", "6", "--learning_rate", "2e-3")  # fmt: skip
    assert run(tmp_path, trained / "start", tmp_path / "whole", *every) == 0
    again = ("--resume_from_checkpoint", str(tmp_path / "whole" / "checkpoint-3"))
    assert run(tmp_path, trained / "start", tmp_path / "resumed", *every, *again) == 0
    first, second = (json.loads((tmp_path / name / "training.json").read_text()) for name in ("whole", "resumed"))
    assert first["exit_weights"] == second["exit_weights"]
    assert first["steps"] == second["steps"] == 6


def test_an_encoder_without_a_head_gets_one(tmp_path, family):
    write_encoder(tmp_path / "encoder", family, task="Model", **MILD)
    assert run(tmp_path, tmp_path / "encoder", tmp_path / "out", "--max_steps", "1", "--learning_rate", "0") == 0
    assert Classifier.load(tmp_path / "out").labels == LABELS


def test_an_encoder_that_lacks_more_is_refused(tmp_path, family, capsys):
    folder = write_encoder(tmp_path / "start", family)
    lost = f"{BY_MODEL_TYPE[family].layer(2, 0)}.{BY_MODEL_TYPE[family].parts.widen}.weight"
    rewrite_weights(folder, lambda weights: weights.pop(lost))
    assert run(tmp_path, folder, tmp_path / "out") != 0
    assert f"no weights that fit for {lost}" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--pooling", "mean"), ("--exit-heads", "2")])
def test_what_such_a_folder_cannot_say_is_refused(tmp_path, family, flags, capsys):
    write_encoder(tmp_path / "start", family)
    assert run(tmp_path, tmp_path / "start", tmp_path / "out", *flags) != 0
    printed = capsys.readouterr().err
    assert "this is for ALBERT" in printed
    assert BY_MODEL_TYPE[family].title in printed
    assert not (tmp_path / "out" / "config.json").exists()


def test_what_it_can_say_is_accepted():
    for backbone in BY_MODEL_TYPE.values():
        check_heads("cls", 1, backbone)
    check_heads("mean", 2, BY_MODEL_TYPE["albert"])
    with pytest.raises(InputError, match="pooling is 'mean'"):
        check_heads("mean", None, BY_MODEL_TYPE["bert"])
