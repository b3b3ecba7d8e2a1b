"""What can be wrong with the weights of a folder, and what is harmless."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AlbertForMaskedLM, AlbertModel

from elbert.classifier import Classifier
from rejections import check_rejected
from tiny import SPECIALS, rewrite_weights, tiny_config, write_bundle
from tiny import WORDS as VOCABULARY

WORDS = "albert.embeddings.word_embeddings.weight"
TOKENS = len(SPECIALS) + len(VOCABULARY)
QUERY = "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight"
SENTENCES = ["a good film", "the plot is awful", ""]


@pytest.fixture
def folder(bundle_folder, tmp_path):
    return shutil.copytree(bundle_folder, tmp_path / "model")


def answers(folder):
    return [p.scores for p in Classifier.load(folder).predict(SENTENCES)]


CHANGES = {
    "missing": (lambda w: w.pop(QUERY), ("missing", QUERY, "save it again")),
    "head missing": (lambda w: w.pop("classifier.bias"), ("encoder without a trained classifier", "elbert train")),
    "surplus": (lambda w: w.update(extra=torch.zeros(2)), ("extra", "belong to no ALBERT classifier", "save it again")),
    "shape": (
        lambda w: w.update({WORDS: torch.zeros(3, 12)}),
        (WORDS, "[3, 12]", f"config.json asks for [{TOKENS}, 12]"),
    ),
    "nan": (lambda w: w[QUERY].__setitem__((0, 0), torch.nan), (QUERY, "NaN", "damaged")),
    "infinity": (lambda w: w["classifier.bias"].__setitem__(0, torch.inf), ("classifier.bias", "NaN or infinity")),
    "integers": (
        lambda w: w.update({WORDS: torch.zeros(TOKENS, 12, dtype=torch.int8)}),
        (WORDS, "int8", "floating point"),
    ),
    "another kind": (lambda w: (w.clear(), w.update(x=torch.zeros(1))), ("missing albert", "more")),
}


@pytest.mark.parametrize(("change", "messages"), CHANGES.values(), ids=CHANGES.keys())
def test_weights_that_do_not_fit_are_rejected(folder, change, messages):
    with torch.no_grad():
        rewrite_weights(folder, change)
    check_rejected(folder, "model.safetensors", *messages)


def test_old_buffers_and_pretraining_heads_are_harmless(folder):
    expected = answers(folder)
    rewrite_weights(
        folder,
        lambda w: w.update(
            {
                "albert.embeddings.position_ids": torch.arange(64)[None],
                "albert.embeddings.token_type_ids": torch.zeros(1, 64, dtype=torch.long),
                "predictions.decoder.bias": torch.zeros(TOKENS),
                "sop_classifier.classifier.weight": torch.full((2, 32), torch.nan),
            }
        ),
    )
    assert answers(folder) == expected


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_float_are_read_as_float32(folder, kind):
    expected = answers(folder)
    rewrite_weights(folder, lambda w: w.update({name: weight.to(kind) for name, weight in w.items()}))
    rounded = 1e-6 if kind == torch.float64 else 0.2  # the tiny model's weights are large, and so is what they make
    for got, want in zip(answers(folder), expected, strict=True):
        assert got == pytest.approx(want, abs=rounded)
    assert Classifier.load(folder).backend.embed.__self__._embedding.words.dtype == torch.float32


@pytest.mark.parametrize("content", [b"", b"not a safetensors file", b"\xff" * 64])
def test_a_damaged_file_is_reported(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    check_rejected(folder, "model.safetensors", "not a readable safetensors file", "download or save it again")


def test_a_truncated_file_is_reported(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    check_rejected(folder, "model.safetensors", "not a readable safetensors file")


def test_a_pickle_is_never_loaded(folder):
    (folder / "model.safetensors").unlink()
    check_rejected(folder, "no model.safetensors;", "save_pretrained")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04}.")
    check_rejected(folder, "no model.safetensors", "pytorch_model.bin is a pickle", "save_pretrained")


@pytest.mark.parametrize("encoder", [AlbertModel, AlbertForMaskedLM])
def test_an_encoder_is_sent_to_training(folder, encoder):
    config = tiny_config()
    encoder(config).save_pretrained(folder)
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"model_type": "albert"}))
    check_rejected(folder, "model.safetensors", "encoder without a trained classifier", "elbert train")


def shard(folder, **names):
    """Split the weights over two files, and say so in an index; ``names`` rewrites its entries."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    half = sorted(weights)[: len(weights) // 2]
    files = {name: f"model-0000{1 if name in half else 2}-of-00002.safetensors" for name in weights}
    for file in set(files.values()):
        save_file({n: w for n, w in weights.items() if files[n] == file}, folder / file)
    index = {"metadata": {}, "weight_map": files | names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards_are_one_model(folder):
    expected = answers(folder)
    shard(folder)
    assert answers(folder) == expected


@pytest.mark.parametrize("outside", ["../model.safetensors", "/etc/hostname", "sub/model.safetensors", "..", "."])
def test_an_index_cannot_lead_outside(folder, outside):
    shard(folder, extra=outside)
    check_rejected(folder, "model.safetensors.index.json", "outside its folder", "download or save it again")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', "[" * 100_000])
def test_an_index_that_is_no_index_is_reported(folder, text):
    (folder / "model.safetensors.index.json").write_text(text)
    check_rejected(folder, "model.safetensors.index.json", "not readable as an index", "download or save it again")


def test_an_index_of_nothing_and_a_missing_shard_are_reported(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    check_rejected(folder, "names no file")
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    check_rejected(folder, "model-00002-of-00002.safetensors", "download or save it again")


def test_heads_per_block_must_all_be_there(tmp_path):
    folder = write_bundle(tmp_path, exit_heads=3)
    rewrite_weights(folder, lambda w: w.pop("earlier_heads.1.classifier.bias"))
    check_rejected(folder, "missing earlier_heads.1.classifier.bias")


def test_tensorflow_names_of_norms_are_read(tmp_path):
    folder = write_bundle(tmp_path / "old")
    expected = Classifier.load(folder).predict(["a good film"])

    def rename(weights):
        for name in [n for n in weights if "LayerNorm" in n or "layer_norm" in n]:
            weights[name.replace(".weight", ".gamma").replace(".bias", ".beta")] = weights.pop(name)

    rewrite_weights(folder, rename)
    assert Classifier.load(folder).predict(["a good film"]) == expected
