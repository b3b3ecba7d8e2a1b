"""The benchmark's peers answer what plain transformers answers, in the texts' order."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the peers need onnxruntime: the bench extra")
pytest.importorskip("openvino", reason="the peers need openvino: the bench extra")
pytest.importorskip("onnxscript", reason="the peers need onnxscript: the bench extra")

# the exporters and NNCF warn about their own future, which is not ours
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # benchmarks are scripts: their folder is their root

from peers import PEERS, Workshop, onnx_files, openvino_  # noqa: E402
from peers.batching import by_length, chunks, padded, restored  # noqa: E402
from tiny import texts as random_texts  # noqa: E402

BUNDLED = ROOT / "src" / "elbert" / "bundled"
FURTHEST = {"float32": 1e-4, "bfloat16": 0.05, "int8": 1.0}  # int8 is held to its answers instead
LEAST_AGREEMENT = 0.9


def real_texts() -> list[str]:
    """Forty-eight texts of one to some eighty words, all out of real sentences."""
    sentences = (ROOT / "examples" / "reviews.txt").read_text().splitlines()
    turned = sentences[5:] + sentences[:5]
    halves = [" ".join(s.split()[: len(s.split()) // 2]) for s in sentences]
    return [*sentences, *halves, *(f"{a} {b}" for a, b in zip(sentences, turned)), *map(" ".join, zip(turned, halves))]


each_peer = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.name}-{peer.precision}")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("peers"), calibration=tuple(real_texts()[:12]))  # few: for speed


@pytest.fixture(scope="module")
def plain():
    return reference(BUNDLED, real_texts())


def reference(folder, texts):
    """Plain transformers in float32, one text at a time, nothing of the peers' code."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        rows = [model(**tokenizer(text, truncation=True, return_tensors="pt")).logits for text in texts]
    return torch.cat(rows).softmax(-1).numpy()


def ready(peer, folder, workshop, batch=8):
    if missing := peer.missing():
        pytest.skip(f"{peer.name} {peer.precision} needs {', '.join(missing)}: the bench extra")
    return peer.prepare(folder, batch, workshop)


@each_peer
def test_a_peer_answers_what_transformers_answers(peer, workshop, plain):
    found = ready(peer, BUNDLED, workshop)(real_texts())
    assert found.shape == plain.shape and found.dtype == np.float32
    assert abs(found - plain).max() <= FURTHEST[peer.precision]
    assert (found.argmax(1) == plain.argmax(1)).mean() >= LEAST_AGREEMENT


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.precision == "float32"], ids=lambda peer: peer.name)
def test_batches_that_do_not_come_out_even_and_random_weights(peer, workshop, bundle_folder):
    texts = [text or "film" for text in random_texts(13, longest=80)]  # some beyond the 64 tokens it reads
    found = ready(peer, bundle_folder, workshop, batch=3)(texts)
    assert abs(found - reference(bundle_folder, texts)).max() <= 1e-4


def test_onnx_int8_leaves_no_product_with_weights_in_float(workshop):
    # six of each of twelve layers, one that widens the embeddings, pooler and classifier
    assert onnx_files.weight_products(onnx_files.exported(BUNDLED, workshop)) == {"float": 75}
    assert onnx_files.weight_products(onnx_files.quantised(BUNDLED, workshop)) == {"int8": 75}


def test_openvino_int8_runs_every_product_with_weights_in_int8(workshop):
    pytest.importorskip("nncf", reason="OpenVINO's int8 needs nncf: the bench extra")
    model = openvino_.quantised(BUNDLED, workshop)
    assert openvino_.executed(openvino_.compiled(model, "f32", workshop)) == {"i8": 75}


def test_openvino_int8_says_that_it_needs_texts(bundle_folder, tmp_path):
    pytest.importorskip("nncf", reason="OpenVINO's int8 needs nncf: the bench extra")
    with pytest.raises(ValueError, match="calibrate"):
        openvino_.int8(bundle_folder, 8, Workshop(tmp_path))


def test_rows_are_sorted_padded_and_put_back():
    tokens = [[5, 6, 7], [5], [5, 6], [9, 9, 9, 9]]
    order = by_length(tokens)
    assert order == [1, 2, 0, 3]
    first, second = chunks(tokens, order, 2)
    batch = padded(first, 3)
    assert batch["input_ids"].tolist() == [[5, 3], [5, 6]]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]
    assert padded(second, 3)["input_ids"].shape == (2, 4)
    lengths = np.array([[len(tokens[row])] for row in order], np.float32)
    assert restored(lengths, order)[:, 0].tolist() == [3, 1, 2, 4]
