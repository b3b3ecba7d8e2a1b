"""The packed backend equals transformers at every depth, for encoders whose depths have layers of their own."""

import pytest
import torch

from elbert.bundle import Bundle
from elbert.model import Layout, TorchBackend, native
from elbert.model.int8 import can_int8
from elbert.model.layer import counted
from elbert.model.reference import reference_class
from tiny import WORDS
from tiny_encoders import FIRST_WORD, LONGEST, plain_class, tiny_config, write_encoder


def packed_logits(folder, rows, types=None, **options):
    """``[depths, rows, classes]`` by the backend; ``rows`` are lists of ids."""
    config = Bundle.open(folder).config
    backend = TorchBackend.load(folder, config, **options)
    layout = Layout.from_lengths([len(r) for r in rows])
    ids = torch.tensor([i for r in rows for i in r])
    type_ids = torch.zeros_like(ids) if types is None else torch.tensor([t for r in types for t in r])
    outputs = []
    with torch.inference_mode():
        hidden = backend.embed(ids, type_ids, layout)
        for depth in range(1, config.depths + 1):
            hidden = backend.step(hidden, layout, config.group(depth))
            outputs.append(backend.read(hidden, layout, config.head(depth)))
    return torch.stack(outputs)


def padded(rows, types=None, pad=0):
    longest = max(map(len, rows))
    batch = {
        "input_ids": torch.tensor([r + [pad] * (longest - len(r)) for r in rows]),
        "attention_mask": torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in rows]),
    }
    if types is not None:
        batch["token_type_ids"] = torch.tensor([t + [0] * (longest - len(t)) for t in types])
    return batch


def pad_of(folder):
    return Bundle.open(folder).load_tokeniser().pad_id


def reference_logits(folder, rows, types=None, dtype=torch.float32):
    model = reference_class(Bundle.open(folder).config.backbone).from_pretrained(folder).eval().to(dtype)
    with torch.inference_mode():
        return model(**padded(rows, types, pad_of(folder))).exit_logits


def random_rows(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(FIRST_WORD, FIRST_WORD + len(WORDS), (n,), generator=generator).tolist() for n in lengths]


def assert_equal(folder, rows, types=None):
    ours, theirs = packed_logits(folder, rows, types), reference_logits(folder, rows, types)
    assert ours.shape == theirs.shape
    if (ours - theirs).abs().max() > 1e-5:  # a random model may magnify rounding: then not further from the truth
        truth = reference_logits(folder, rows, types, torch.float64)
        assert (ours - truth).abs().max() <= 4 * (theirs - truth).abs().max()
        assert (ours - truth).abs().max() < 1e-4
    if len(theirs) > 1:
        assert theirs.std(dim=0).mean() > 1e-3  # depths do differ, so equality says something


LENGTHS = {
    "one row": [7],
    "one token": [1],
    "one token each": [1, 1, 1],
    "maximum length": [LONGEST],
    "mixed": [1, LONGEST, 2, 33, 5, LONGEST, 17],
    "even": [9, 9, 9, 9],
}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_lengths(folder, lengths):
    assert_equal(folder, random_rows(lengths))


def test_many_random_lengths(folder):
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, LONGEST + 1, (int(torch.randint(1, 20, (1,), generator=generator)),),
                                generator=generator)  # fmt: skip
        assert_equal(folder, random_rows(lengths.tolist(), seed))


@pytest.mark.parametrize("changes", [{"initializer_range": 0.1}, {"initializer_range": 0.05}], ids=["mild", "milder"])
def test_within_a_hundred_thousandth(tmp_path, family, changes):
    """Where weights magnify no rounding, the bound holds as it stands."""
    folder = write_encoder(tmp_path, family, **changes)
    rows = random_rows([1, LONGEST, 2, 33, 5, 17])
    assert (packed_logits(folder, rows) - reference_logits(folder, rows)).abs().max() <= 1e-5


SHAPES = {
    "one depth": {"num_hidden_layers": 1},
    "one head": {"num_attention_heads": 1},
    "three labels": {"labels": ("a", "b", "c")},
    "multi-label": {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"},
    "regression": {"labels": ("value",)},
    "relu": {"hidden_act": "relu"},
    "tanh gelu": {"hidden_act": "gelu_new"},
}


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES.keys())
def test_shapes(tmp_path, family, changes):
    assert_equal(write_encoder(tmp_path, family, **changes), random_rows([5, 1, 12]))


@pytest.mark.parametrize("family", ["bert", "roberta"], indirect=True)
def test_settings_of_its_own(tmp_path, family):
    changes = {"layer_norm_eps": 1e-5} | (
        {"pad_token_id": 3, "max_position_embeddings": 68} if family == "roberta" else {}
    )
    folder = write_encoder(tmp_path, family, **changes)
    config = Bundle.open(folder).config
    assert (config.layer_norm_eps, config.max_length) == (1e-5, LONGEST)
    assert_equal(folder, random_rows([5, 1, LONGEST]))


def test_pairs(folder, family):
    """BERT reads token types; DistilBERT ignores them."""
    rows = random_rows([8, 20, 3])
    types = [[0] * 4 + [1] * 4, [0] * 15 + [1] * 5, [0, 1, 1]]
    if family == "roberta":
        types = [[0] * len(row) for row in rows]
    assert_equal(folder, rows, types)
    apart = (packed_logits(folder, rows, types) - packed_logits(folder, rows)).abs().max()
    assert (apart > 1e-3) == (family == "bert")


def test_a_head_reads_every_depth_as_a_model_that_ends_there(folder, family):
    """Depth m is the last depth of transformers' own classifier with m layers and the same weights."""
    rows = random_rows([5, 1, 12, 9])
    ours = packed_logits(folder, rows)
    batch = padded(rows, pad=pad_of(folder))
    for depth in range(1, 7):
        config = tiny_config(family, num_hidden_layers=depth)
        plain, loading = plain_class(family).from_pretrained(folder, config=config, output_loading_info=True)
        assert not loading["missing_keys"]
        with torch.inference_mode():
            theirs = plain.eval()(**batch).logits
        torch.testing.assert_close(ours[depth - 1], theirs, atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["roberta"], indirect=True)
def test_padding_inside_a_text_is_not_counted(folder):
    """A text may hold the padding token's own name; RoBERTa counts positions past it."""
    rows = [[0, 5, 1, 6, 1, 1, 7, 2], [0, 8, 9, 2], [1, 1, 2], [0, 1]]
    model = plain_class("roberta").from_pretrained(folder).eval()
    with torch.inference_mode():
        theirs = torch.cat([model(torch.tensor([row]), attention_mask=torch.ones(1, len(row))).logits for row in rows])
    torch.testing.assert_close(packed_logits(folder, rows)[-1], theirs, atol=5e-5, rtol=1e-4)


def test_positions_are_counted_as_by_hand():
    generator = torch.Generator().manual_seed(0)

    def draw(low, high, count=1):
        return torch.randint(low, high, (count,), generator=generator).tolist()

    for _ in range(50):
        rows = [draw(0, 4, draw(1, 9)[0]) for _ in range(draw(1, 6)[0])]
        expected = [1 if i == 1 else 1 + sum(j != 1 for j in row[: at + 1]) for row in rows for at, i in enumerate(row)]
        layout = Layout.from_lengths([len(row) for row in rows])
        assert counted(torch.tensor([i for row in rows for i in row]), layout, 1).tolist() == expected


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions_are_near(tmp_path, family, precision):
    if precision == "int8" and not can_int8():
        pytest.skip("needs oneDNN's int8 products")
    folder = write_encoder(tmp_path, family, initializer_range=0.1)
    rows = random_rows([5, 1, 12, LONGEST])
    exact, ours = packed_logits(folder, rows), packed_logits(folder, rows, precision=precision)
    assert ours.dtype == torch.float32
    assert 0 < (ours - exact).abs().max() < 0.1


def test_without_compiled_kernels_it_is_the_same(folder, monkeypatch):
    if isinstance(native.load(), native.NoVariant):
        pytest.skip("no native code here")
    rows = random_rows([5, 1, 12, 33])
    with_them = packed_logits(folder, rows)
    monkeypatch.setattr(native, "load", lambda: native.NoVariant("switched off"))
    torch.testing.assert_close(packed_logits(folder, rows), with_them, atol=5e-5, rtol=1e-4)
