"""The packed backend equals the reference at every depth, for every kind of ALBERT there is."""

import pytest
import torch
from transformers.activations import ACT2FN

from elbert.bundle import Bundle
from elbert.model import Layout, ModelConfig, TorchBackend, native
from elbert.model.reference.albert import ElbertForSequenceClassification
from tiny import write_bundle


def packed_logits(folder, rows, types=None):
    """``[depths, rows, classes]`` by the backend; ``rows`` are lists of ids."""
    bundle = Bundle.open(folder)
    backend = TorchBackend.load(folder, bundle.config)
    layout = Layout.from_lengths([len(r) for r in rows])
    ids = torch.tensor([i for r in rows for i in r])
    type_ids = torch.zeros_like(ids) if types is None else torch.tensor([t for r in types for t in r])
    with torch.inference_mode():
        hidden = backend.embed(ids, type_ids, layout)
        outputs = []
        for depth in range(1, bundle.config.depths + 1):
            hidden = backend.step(hidden, layout, bundle.config.group(depth))
            outputs.append(backend.read(hidden, layout, bundle.config.head(depth)))
    return torch.stack(outputs)


def reference_logits(folder, rows, types=None, dtype=torch.float32):
    model = ElbertForSequenceClassification.from_pretrained(folder).eval().to(dtype)
    longest = max(len(r) for r in rows)
    pad = [r + [0] * (longest - len(r)) for r in rows]
    mask = [[1] * len(r) + [0] * (longest - len(r)) for r in rows]
    more = {}
    if types is not None:
        more["token_type_ids"] = torch.tensor([t + [0] * (longest - len(t)) for t in types])
    with torch.inference_mode():
        return model(torch.tensor(pad), attention_mask=torch.tensor(mask), **more).exit_logits


def random_rows(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, 40, (n,), generator=generator).tolist() for n in lengths]


def assert_equal(folder, rows, types=None):
    ours, theirs = packed_logits(folder, rows, types), reference_logits(folder, rows, types)
    assert ours.shape == theirs.shape
    if (ours - theirs).abs().max() > 1e-5:  # a random model may magnify rounding: then not further from the truth
        truth = reference_logits(folder, rows, types, torch.float64)
        assert (ours - truth).abs().max() <= 3 * (theirs - truth).abs().max()
    if len(theirs) > 1:
        assert theirs.std(dim=0).mean() > 1e-3  # depths do differ, so equality says something


LENGTHS = {
    "one row": [7],
    "one token": [1],
    "one token each": [1, 1, 1],
    "maximum length": [64],
    "mixed": [1, 64, 2, 33, 5, 64, 17],
    "even": [9, 9, 9, 9],
}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_lengths_and_poolings(tmp_path, lengths, pooling):
    assert_equal(write_bundle(tmp_path, pooling=pooling), random_rows(lengths))


SHAPES = {
    "groups": {"num_hidden_groups": 2},
    "uneven groups": {"num_hidden_layers": 7, "num_hidden_groups": 3},
    "inner groups": {"inner_group_num": 2},
    "both": {"num_hidden_groups": 3, "inner_group_num": 2},
    "one depth": {"num_hidden_layers": 1},
    "one head": {"num_attention_heads": 1},
    "heads per block": {"exit_heads": 3},
    "uneven blocks": {"exit_heads": 4, "num_hidden_layers": 7, "pooling": "mean"},
    "three labels": {"labels": ("a", "b", "c")},
    "multi-label": {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"},
    "regression": {"labels": ("value",)},
    "one segment": {"type_vocab_size": 1},
    "wide eps": {"layer_norm_eps": 1e-5},
}


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES.keys())
def test_shapes(tmp_path, changes):
    assert_equal(write_bundle(tmp_path, **changes), random_rows([5, 1, 12]))


@pytest.mark.parametrize("name", sorted(set(ACT2FN) - {"prelu", "xielu"}))  # those two have weights of their own
def test_activations(tmp_path, name):
    assert_equal(write_bundle(tmp_path, hidden_act=name, initializer_range=0.2), random_rows([5, 1, 12]))


def test_pairs(tmp_path):
    rows = random_rows([8, 20, 3])
    types = [[0] * 4 + [1] * 4, [0] * 15 + [1] * 5, [0, 1, 1]]
    folder = write_bundle(tmp_path)
    assert_equal(folder, rows, types)
    assert (packed_logits(folder, rows, types) - packed_logits(folder, rows)).abs().max() > 1e-3


def test_many_random_shapes(tmp_path):
    folder = write_bundle(tmp_path)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, 65, (int(torch.randint(1, 20, (1,), generator=generator)),), generator=generator)
        assert_equal(folder, random_rows(lengths.tolist(), seed))


def test_bfloat16_is_near(tmp_path):
    folder = write_bundle(tmp_path, initializer_range=0.1)
    bundle = Bundle.open(folder)
    rows = random_rows([5, 1, 12])
    layout = Layout.from_lengths([len(r) for r in rows])
    ids = torch.tensor([i for r in rows for i in r])
    backend = TorchBackend.load(folder, bundle.config, precision="bfloat16")
    hidden = backend.step(backend.embed(ids, torch.zeros_like(ids), layout), layout, 0)
    variant = native.load()  # without instructions for pairs of bfloat16 numbers only the weights have that type
    assert hidden.dtype == (variant.hidden_dtype("bfloat16") if isinstance(variant, native.Variant) else torch.bfloat16)
    logits = backend.read(hidden, layout, 0)
    assert logits.dtype == torch.float32
    assert (logits - reference_logits(folder, rows)[0]).abs().max() < 0.05


@pytest.mark.parametrize("depths", range(1, 25))
def test_group_of_a_depth_is_transformers_own(depths):
    for groups in range(1, depths + 1):
        values = {"model_type": "albert", "hidden_size": 64, "num_attention_heads": 4}
        sizes = ModelConfig.from_dict(values | {"num_hidden_layers": depths, "num_hidden_groups": groups}, "here")
        assert [sizes.group(m) for m in range(1, depths + 1)] == [int(i / (depths / groups)) for i in range(depths)]
