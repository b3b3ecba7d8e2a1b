"""The folder: config.json, tokenizer, where a model is looked for."""

import json
import shutil
import socket

import pytest

import elbert
from elbert.bundle import Bundle, bundled_model
from elbert.classifier import Classifier
from elbert.errors import BundleError, InputError
from rejections import check_rejected
from tiny import SPECIALS, WORDS, write_bundle


@pytest.fixture
def folder(bundle_folder, tmp_path):
    return shutil.copytree(bundle_folder, tmp_path / "model")


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def test_a_config_of_another_architecture(folder):
    change_config(folder, model_type="bert")
    check_rejected(folder, str(folder / "config.json"), "model_type is 'bert'", "expected 'albert'", "give the folder")


def test_the_bundled_model_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Bundle.open("bundled").folder == Bundle.open().folder
    written = write_bundle(tmp_path / "bundled")
    assert Bundle.open("bundled").folder.absolute() == written  # a folder of that name comes first


@pytest.mark.parametrize("text", ["", "{", "\x00", "nonsense", "[" * 100_000])
def test_a_config_that_is_no_json(folder, text):
    (folder / "config.json").write_text(text)
    check_rejected(folder, str(folder / "config.json"), "not readable as JSON", "download or save it again")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"albert"'])
def test_a_config_that_is_no_object(folder, text):
    (folder / "config.json").write_text(text)
    check_rejected(folder, str(folder / "config.json"), "expected a JSON object")


def test_no_config(folder):
    (folder / "config.json").unlink()
    check_rejected(folder, str(folder / "config.json"), "missing", "expected the folder of an ALBERT classifier")


WRONG = {
    "hidden_size": 0,
    "num_hidden_layers": "12",
    "vocab_size": True,
    "num_attention_heads": 5,
    "layer_norm_eps": "small",
    "hidden_act": "magic",
    "problem_type": "ranking",
    "pooling": "max",
    "exit_heads": 7,
    "id2label": {"a": "negative", "b": "positive"},
}


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG)
def test_sizes_out_of_range(folder, name, value):
    change_config(folder, **{name: value})
    check_rejected(folder, "config.json", name)


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b"],
        {"0": "a", "2": "b"},
        {"-1": "a", "0": "b"},
        {"0": "same", "1": "same"},
        {"0": "a", "9999999999": "b"},
    ],
)
def test_labels_that_are_no_list_of_names(folder, names):
    change_config(folder, id2label=names)
    check_rejected(folder, "config.json", "id2label", "expected distinct names by index")


def test_labels_without_names(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["id2label"]
    (folder / "config.json").write_text(json.dumps(config))
    assert Classifier.load(folder).labels == ("LABEL_0", "LABEL_1")


def test_a_tokenizer_of_a_larger_model(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    known = len(SPECIALS) + len(WORDS)
    tokenizer["model"]["vocab"] |= {f"word{i}": known + i for i in range(5)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    check_rejected(
        folder, str(folder), f"the tokenizer has {known + 5} tokens, the model {known}", "restore the tokenizer files"
    )


def test_no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    check_rejected(folder, str(folder), "no tokenizer")


def test_a_model_of_single_texts_rejects_pairs(tmp_path):
    classifier = Classifier.load(write_bundle(tmp_path, type_vocab_size=1))
    assert len(classifier.predict(["fine"])) == 1
    with pytest.raises(InputError, match="no pairs"):
        classifier.predict([("a premise", "a hypothesis")])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("", "no such folder"),
        ("   ", "no such folder"),
        ("./nowhere", "no such folder"),
        ("/nowhere/at/all", "no such folder"),
        ("a/b/c", "no such folder"),
        ("~unknown-user/model", "no such folder"),
        ("x" * 300, "no such folder"),
        ("../up", "no such folder"),
        ("not a hub id!", "cannot be a name on the hub; check"),
        ("someone/never-fetched", "the hub cannot be reached; check the spelling and the network, or give the path"),
        ("never-fetched", "the hub cannot be reached; check"),
    ],
)
def test_what_is_no_model_is_reported_in_one_line(model, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.open(model)
    assert repr(model) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_id_makes_no_connection_offline(monkeypatch):
    def connect(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(BundleError, match="the hub cannot be reached"):
        Bundle.open("someone/never-fetched")


def test_a_file_is_no_folder(folder):
    with pytest.raises(BundleError, match="a file; expected the folder"):
        Bundle.open(folder / "model.safetensors")


def test_the_bundled_model_has_one_place():
    assert elbert.bundled_model() == bundled_model()
    assert bundled_model().is_absolute()
    assert bundled_model().parent.name == "elbert"


def test_plain_transformers_reads_the_folder_at_full_depth(folder):
    import torch
    from transformers import AlbertForSequenceClassification

    change_config(folder, model_type="albert")
    model = AlbertForSequenceClassification.from_pretrained(folder).eval()
    classifier = Classifier.load(folder, "full")
    for text in ["a good film", "", "the plot and the heart of it"]:
        (tokens,) = classifier.tokeniser.encode([text])
        with torch.inference_mode():
            theirs = model(torch.tensor([tokens.ids])).logits.softmax(-1)[0].tolist()
        (ours,) = classifier.predict([text])
        assert list(ours.scores.values()) == pytest.approx(theirs, abs=1e-5)
