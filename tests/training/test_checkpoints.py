"""A checkpoint is a whole model folder, and no part of one is taken for a model or a checkpoint."""

import json
import shutil

import pytest
import torch
from small import MILD, STILL, rows, run, same, weights_of, write_rows
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from elbert.classifier import Classifier
from elbert.cli.main import main
from elbert.errors import InputError
from elbert.tokenization import Tokeniser
from elbert.training.checks import find_checkpoint, find_checkpoints
from tiny import write_bundle

ONLY_AT_THE_END = {"training.json"}
OPTIONS = {
    "plain": {},
    "learned weights": {"weighting": "learned"},
    "mean": {"pooling": "mean"},
    "heads": {"exit_heads": 3},
}


@pytest.fixture(scope="module", params=OPTIONS)
def trained(request, tmp_path_factory):
    """The output of a run that kept both of its checkpoints; the model it started from has operating points."""
    folder = tmp_path_factory.mktemp("trained")
    points = {"version": 1, "points": {"fast": {"policy": "entropy(0.4)"}}, "default": "fast"}
    write_bundle(folder / "start", points=points, **STILL, **MILD)
    run(folder, folder / "out", options=OPTIONS[request.param], max_length=16)
    return folder / "out"


def test_a_checkpoint_has_the_files_of_the_model(trained):
    model = {file.name for file in trained.iterdir() if file.is_file()} - ONLY_AT_THE_END
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= model
    # Operating points were measured with other weights, so neither has them.
    assert "exits.json" not in model
    checkpoints = find_checkpoints(trained)
    assert [folder.name for folder in checkpoints] == ["checkpoint-6", "checkpoint-12"]
    for folder in checkpoints:
        assert model - {"README.md"} <= {file.name for file in folder.iterdir()}  # the card is the finished model's


def test_a_checkpoint_predicts_as_the_model_does(trained):
    best = next(folder for folder in find_checkpoints(trained) if same(weights_of(folder), weights_of(trained)))
    texts = ["a great film " * 20, ("awful", "great")]
    ours, theirs = Classifier.load(trained), Classifier.load(best)
    assert theirs.tokeniser.max_length == ours.tokeniser.max_length == 16
    assert theirs.predict(texts, trace=True) == ours.predict(texts, trace=True)
    assert theirs.labels == ours.labels


@pytest.mark.parametrize("command", ["predict", "evaluate", "explain"])
def test_the_commands_take_a_checkpoint(trained, tmp_path, capsys, command):
    data = ["--data", write_rows(tmp_path / "rows.jsonl", rows(8))] if command == "evaluate" else ["a film"]
    for folder in find_checkpoints(trained):
        assert main([command, *data, "--model", str(folder)]) == 0
    assert "error" not in capsys.readouterr().err


def test_transformers_reads_a_checkpoint(trained):
    folder = find_checkpoints(trained)[0]
    if json.loads((folder / "config.json").read_text())["model_type"] != "albert":
        pytest.skip("plain ALBERT cannot express this head")
    batch = AutoTokenizer.from_pretrained(folder)(["a great film"], return_tensors="pt")
    with torch.inference_mode():
        logits = AutoModelForSequenceClassification.from_pretrained(folder).eval()(**batch).logits
    ours = Classifier.load(folder, dtype="float32").predict(["a great film"], "full")[0]
    assert list(ours.scores.values()) == pytest.approx(logits.softmax(-1)[0].tolist(), abs=1e-5)


def test_another_family_has_whole_checkpoints_too(tmp_path):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    from tiny import write_tokenizer

    sizes = {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}
    DistilBertForSequenceClassification(DistilBertConfig(vocab_size=44, **sizes)).save_pretrained(tmp_path / "start")
    write_tokenizer(tmp_path / "start")
    run(tmp_path, tmp_path / "out", num_train_epochs=1)
    (folder,) = find_checkpoints(tmp_path / "out")
    assert Classifier.load(folder).predict(["a film"]) == Classifier.load(tmp_path / "out").predict(["a film"])


def test_the_last_checkpoint_is_the_last_whole_one(trained, tmp_path):
    """A process that was killed while it wrote leaves a folder without the state of the trainer."""
    shutil.copytree(trained, tmp_path / "out")
    (tmp_path / "out" / "checkpoint-12" / "trainer_state.json").unlink()
    (tmp_path / "out" / "checkpoint-100").mkdir()
    (tmp_path / "out" / "checkpoint-x").mkdir()
    assert find_checkpoint("last", tmp_path / "out") == str(tmp_path / "out" / "checkpoint-6")
    shutil.rmtree(tmp_path / "out" / "checkpoint-6")
    with pytest.raises(InputError, match="no checkpoint to resume from"):
        find_checkpoint("last", tmp_path / "out")


@pytest.mark.parametrize("flag", ["bf16_full_eval", "fp16_full_eval"])
def test_an_evaluation_does_not_reduce_the_precision_that_is_written(tmp_path, flag):
    run(tmp_path, tmp_path / "out", max_steps=1, **{flag: True})
    assert {weight.dtype for weight in weights_of(tmp_path / "out").values()} == {torch.float32}


def test_a_model_that_could_not_be_written_whole_is_not_there(tmp_path, monkeypatch):
    """The configuration is the last file, and without it a folder is no model."""

    def fail(self, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Tokeniser, "save", fail)
    with pytest.raises(InputError, match="cannot be written, .*No space left on device"):
        run(tmp_path, tmp_path / "out", save_strategy="no", load_best_model_at_end=False)
    assert list((tmp_path / "out").iterdir()) == []
