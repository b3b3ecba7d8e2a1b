"""The file itself: valid ONNX, small, int8 where it says so, honest about itself, written whole or not at all."""

import json
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from elbert import BundleError, Classifier, InputError, PolicyError, __version__
from elbert.bundle import bundled_model
from elbert.exits import policy
from elbert.export import export
from elbert.export.onnx_file import FORMAT, INPUTS, OPSET, build_model
from elbert.export.quantization import ZERO, largest_pair_sums, quantize
from elbert.export.session import Session, pad_batch
from elbert.model import ModelConfig
from elbert.model.weights import expected_shapes
from tiny import texts, write_bundle

WINDOW = "window(entropy=0.25, size=6)"
ALBERT_BASE = {
    "model_type": "albert",
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "id2label": {"0": "no", "1": "yes"},
}


def read(file):
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    return model


def nodes(graph, inside=False):
    """``(node, whether it is in a loop's body)`` of a graph and its bodies."""
    for node in graph.node:
        yield node, inside
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nodes(attribute.g, True)


def metadata(model):
    return {p.key: p.value for p in model.metadata_props}


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("spec", ["full", "depth(2)", WINDOW, "window(rule=trend) | divergence(2, 0.1)"])
def test_a_valid_file_of_a_format_that_browsers_read(bundle_folder, tmp_path, dtype, spec):
    model = read(export(bundle_folder, spec, tmp_path / "model.onnx", dtype=dtype))
    assert [i.name for i in model.graph.input] == list(INPUTS)
    assert [o.name for o in model.graph.output] == ["logits"]
    assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (FORMAT, [("", OPSET)])
    assert (OPSET <= 21, FORMAT <= 10) == (True, True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def test_what_the_file_says_about_itself(bundle_folder, tmp_path):
    file = export(bundle_folder, "entropy(0.2) | patience(3)", tmp_path / "m.onnx", extra_outputs=True, dtype="int8")
    assert metadata(read(file)) == {
        "labels": '["negative", "positive"]',
        "depths": "6",
        "policy": "entropy(0.2) | patience(3)",
        "reasons": '["entropy", "patience", "last"]',
        "problem_type": "single_label_classification",
        "dtype": "int8",
        "max_length": "64",
        "elbert_version": __version__,
    }
    assert Session(file).reasons == ("entropy", "patience", "last")


@pytest.mark.parametrize("spec", ["full", WINDOW])
def test_the_layer_stands_in_the_file_once_and_outside_the_loop(bundle_folder, tmp_path, spec):
    graph = read(export(bundle_folder, spec, tmp_path / "model.onnx")).graph
    (loop,) = [node for node, _ in nodes(graph) if node.op_type == "Loop"]
    (body,) = [attribute.g for attribute in loop.attribute]
    assert not body.initializer
    sizes = Counter(tuple(sorted(tensor.dims)) for tensor in graph.initializer)
    assert (sizes[32, 96], sizes[32, 48], sizes[12, 32]) == (1, 2, 1)  # projections; feed-forward; embedding's map


@pytest.mark.parametrize("inner", [1, 2])
def test_int8_multiplies_every_weight_of_the_layer_in_int8(tmp_path, inner):
    """Queries, keys and values are one product; and the embedding's map and the pooler are int8 too."""
    folder = write_bundle(tmp_path / "model", inner_group_num=inner, num_hidden_layers=4)
    graph = read(export(folder, WINDOW, tmp_path / "model.onnx", dtype="int8")).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    products = Counter()
    for node, inside in nodes(graph):
        if node.op_type in ("MatMul", "Gemm", "MatMulInteger"):
            weight = weights.get(node.input[1])
            products[node.op_type, inside, weight is not None] += 1
            if node.op_type == "MatMulInteger":
                assert weight.data_type == onnx.TensorProto.INT8
    assert products == {
        ("MatMulInteger", True, True): 4 * inner + 1,  # and the pooler
        ("MatMulInteger", False, True): 1,  # the embedding's map
        ("MatMul", True, False): 2 * inner,  # attention's own, which have no weight
        ("MatMul", True, True): 1,  # the classifier, where thresholds are compared
    }
    assert not [node for node, _ in nodes(graph) if node.op_type == "DynamicQuantizeLinear"]
    large = [tensor for tensor in graph.initializer if np.prod(tensor.dims) > 1000 and "embeddings" not in tensor.name]
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.INT8}


def test_no_two_neighbours_overflow_sixteen_bits(bundle_folder, tmp_path):
    """Processors with AVX2 alone add two products in 16 bits and cut off what is too large."""
    graph = read(export(None, "full", tmp_path / "model.onnx", dtype="int8")).graph
    looked_at = 0
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and "embeddings" not in tensor.name:
            pairs = numpy_helper.to_array(tensor).T.astype(int)
            pairs = pairs.reshape(len(pairs), -1, 2)
            assert 255 * pairs.clip(min=0).sum(-1).max() < 2**15
            assert 255 * pairs.clip(max=0).sum(-1).min() >= -(2**15)
            looked_at += 1
    assert looked_at == 6


def test_quantised_weights_are_near_what_they_stand_for():
    generator = np.random.default_rng(0)
    for width in (1, 2, 33, 64):
        weight = generator.normal(size=(20, width)).astype(np.float32)
        weight[3] = 0
        codes, scales = quantize(weight, largest_pair_sums(weight))
        assert np.abs(codes * scales[:, None] - weight).max() <= scales.max() * 0.501
        slow = [max([abs(w[i]) for i in range(width)] + sums(w)) for w in weight]
        assert np.allclose(largest_pair_sums(weight), slow)
    assert ZERO + 127 == 255


def sums(row):
    pairs = [(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
    return [abs(a + b) for a, b in pairs if a * b > 0]


def test_sizes(tmp_path):
    made = {
        d: export(None, None, tmp_path / f"{d}.onnx", dtype=d).stat().st_size for d in ("float32", "float16", "int8")
    }
    assert made["int8"] < 9e6
    assert made["float16"] < 0.51 * made["float32"]
    config = ModelConfig.from_dict(ALBERT_BASE, "here")
    weights = {name: torch.randn(shape) * 0.02 for name, shape in expected_shapes(config).items()}
    assert len(build_model(weights, config, policy(WINDOW), dtype="int8").SerializeToString()) <= 13e6


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_lower_precisions_say_nearly_the_same(tmp_path, dtype):
    classifier = Classifier.load(dtype="float32", threads=1)
    sentences = ["A charming and often affecting journey.", "Dull, empty, slow.", *texts(30, seed=6, longest=12)]
    tokens = classifier.tokeniser.encode(sentences)
    exact = Session(export(classifier, "full", tmp_path / "a.onnx"), threads=1).answer(tokens)
    coarse = Session(export(classifier, "full", tmp_path / "b.onnx", dtype=dtype), threads=1).answer(tokens)
    apart = np.abs(exact.logits - coarse.logits).mean()
    assert 0 < apart < {"float16": 0.01, "int8": 0.3}[dtype]
    assert (exact.logits.argmax(-1) == coarse.logits.argmax(-1)).mean() > 0.9


def test_a_classifier_brings_its_own_policy(bundle_folder, tmp_path):
    classifier = Classifier.load(bundle_folder, "patience(2)")
    assert metadata(read(export(classifier, None, tmp_path / "a.onnx")))["policy"] == "patience(2)"
    assert metadata(read(export(bundle_folder, None, tmp_path / "a.onnx")))["policy"] == "full"
    fast = str(Classifier.load(policy="fast").policy)
    assert fast.startswith("window(")
    assert metadata(read(export(None, "fast", tmp_path / "a.onnx")))["policy"] == fast


def test_required_dials_must_be_passed_and_optional_ones_may_be(bundle_folder, tmp_path):
    spec = "window(entropy=0.3, size=3) | entropy(0.1) | entropy(0.2)"
    dials = [
        "window_entropy",
        "window_size",
        "window_margin",
        "window_range",
        "entropy_threshold",
        "entropy2_threshold",
    ]
    required = read(export(bundle_folder, spec, tmp_path / "r.onnx", dials="required"))
    assert [i.name for i in required.graph.input] == [*INPUTS, *dials]
    optional = read(export(bundle_folder, spec, tmp_path / "o.onnx", dials="optional"))
    assert [i.name for i in optional.graph.input] == [*INPUTS, *dials]
    defaults = {t.name: numpy_helper.to_array(t).item() for t in optional.graph.initializer if t.name in dials}
    assert {name: round(value, 6) for name, value in defaults.items()} == dict(zip(dials, (0.3, 3, 0, 0.05, 0.1, 0.2)))
    feeds = pad_batch(Classifier.load(bundle_folder).tokeniser.encode(["a film"]))
    with pytest.raises(ValueError, match="window_entropy"):
        Session(tmp_path / "r.onnx")(feeds)
    Session(tmp_path / "o.onnx")(feeds)


def test_nothing_in_nothing_out(bundle_folder, tmp_path):
    for spec in ("full", WINDOW):
        session = Session(export(bundle_folder, spec, tmp_path / "m.onnx", extra_outputs=True))
        answers = session({name: np.zeros((0, 5), np.int64) for name in INPUTS})
        assert (answers.logits.shape, answers.depth.shape) == ((0, 2), (0,))


REFUSED = {
    "several groups": ({"num_hidden_groups": 2}, "full", {}, InputError, "num_hidden_groups 2"),
    "several heads": ({"exit_heads": 2}, "full", {}, InputError, "exit_heads 2"),
    "unusual activation": ({"hidden_act": "gelu_fast"}, "full", {}, InputError, "'gelu_fast' cannot be exported"),
    "too deep": ({}, "depth(7)", {}, PolicyError, "depth(7): this model has 6 depths"),
    "no policy": ({}, "sureness(2)", {}, PolicyError, "no policy is called 'sureness'"),
    "regression": (
        {"labels": ("x",)},
        "entropy(0.1)",
        {},
        PolicyError,
        "does not fit a model whose outputs are values",
    ),
    "dtype": ({}, "full", {"dtype": "int4"}, InputError, "expected one of float32, float16, int8"),
    "dials": ({}, "full", {"dials": "yes"}, InputError, "expected one of fixed, optional, required"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exported_is_refused_in_a_line_and_writes_nothing(tmp_path, case):
    changes, spec, options, error, expected = REFUSED[case]
    folder = write_bundle(tmp_path / "model", **changes)
    out = tmp_path / "model.onnx"
    out.write_bytes(b"as before")
    with pytest.raises(error) as caught:
        export(folder, spec, out, **options)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert out.read_bytes() == b"as before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "model.onnx"]


def test_places_that_cannot_be_written_and_models_that_are_none(bundle_folder, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        export(bundle_folder, "full", tmp_path / "nowhere" / "model.onnx")
    with pytest.raises(BundleError):
        export(tmp_path / "nothing", "full", tmp_path / "model.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="onnxruntime cannot load it"):
        Session(tmp_path / "junk.onnx")
    assert json.loads((bundled_model() / "exits.json").read_text())["default"] == "safe"
