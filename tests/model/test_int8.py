"""Products in int8 against whole-number arithmetic, and layers against the float layer."""

import pytest
import torch

from elbert.bundle import Bundle
from elbert.errors import InputError
from elbert.model import Layout, TorchBackend, precision
from elbert.model.config import ModelConfig
from elbert.model.int8 import Int8Product, can_int8
from elbert.model.kernels import TorchKernels
from elbert.model.layer import Linear
from tiny import write_bundle

pytestmark = pytest.mark.skipif(not can_int8(), reason="needs oneDNN's int8 products")


@pytest.mark.parametrize("shape", [(1, 8, 4), (5, 32, 48), (70, 384, 96)])
def test_a_product_is_that_of_whole_numbers(shape):
    kernels = TorchKernels(torch.float32)
    tokens, inner, outer = shape
    generator = torch.Generator().manual_seed(0)
    linear = Linear(torch.randn(outer, inner, generator=generator), torch.randn(outer, generator=generator))
    x = torch.randn(tokens, inner, generator=generator)
    x[0] = 0
    quantised = kernels.quantise(x)
    scaled = Int8Product.quantise(linear, torch.float32)(quantised)
    steps = linear.weight.abs().amax(1) / 127
    codes = (linear.weight / steps[:, None]).round().double()
    whole = (quantised.codes.double() - 128) @ codes.T
    expected = whole * steps * quantised.scale[:, None] + linear.bias
    torch.testing.assert_close(kernels.dequantise(scaled).double(), expected, atol=1e-4, rtol=1e-4)
    assert (quantised.codes[0] == 128).all()
    near = x @ linear.weight.T + linear.bias
    assert (expected - near).abs().mean() < 0.02 * near.abs().mean()


def hidden_after(folder, rows, depths=6, **options):
    """``[room, width]`` in float32 after so many depths, and the layout."""
    bundle = Bundle.open(folder)
    backend = TorchBackend.load(folder, bundle.config, **options)
    layout = Layout.from_lengths([len(r) for r in rows])
    ids = torch.tensor([i for r in rows for i in r])
    with torch.inference_mode():
        hidden = backend.embed(ids, torch.zeros_like(ids), layout)
        for depth in range(1, depths + 1):
            hidden = backend.step(hidden, layout, bundle.config.group(depth))
    return hidden[: layout.tokens].float(), layout


ROWS = [[5, 6, 7], [9], [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]]


@pytest.mark.parametrize("act", ["gelu_new", "gelu", "relu"])
def test_a_layer_is_near_the_float_layer(tmp_path, act):
    folder = write_bundle(tmp_path, hidden_act=act, initializer_range=0.1)
    exact, _ = hidden_after(folder, ROWS)
    ours, _ = hidden_after(folder, ROWS, precision="int8")
    likeness = torch.nn.functional.cosine_similarity(ours, exact, dim=-1)
    assert likeness.min() > 0.99
    assert (ours - exact).abs().max() > 1e-4  # it really is something else


def test_a_row_does_not_depend_on_its_neighbours(tmp_path):
    folder = write_bundle(tmp_path, initializer_range=0.1)
    together, layout = hidden_after(folder, ROWS, precision="int8")
    for row, (start, end) in enumerate(zip(layout.bounds[:-1], layout.bounds[1:])):
        alone, _ = hidden_after(folder, [ROWS[row]], precision="int8")
        torch.testing.assert_close(together[start:end], alone, atol=0.03, rtol=0.03)  # bfloat16 rounds hidden values


def test_what_this_machine_does_well_decides(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(precision.native, "load", lambda: precision.native.NoVariant("switched off"))
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx512_bf16", "avx512_vnni"}))
    assert precision.fastest_precision([], "cpu") == "float32"
    assert precision.fastest_precision(["bfloat16"], "cpu") == "bfloat16"
    assert precision.fastest_precision(["bfloat16", "int8"], "cpu") == "int8"
    assert precision.hidden_dtype("int8", cpu) == torch.bfloat16
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx2"}))
    assert precision.fastest_precision(["bfloat16", "int8"], "cpu") == "float32"
    assert precision.hidden_dtype("int8", cpu) == torch.float32


def test_int8_is_for_processors():
    with pytest.raises(InputError, match="dtype int8 needs a processor"):
        precision.hidden_dtype("int8", torch.device("cuda"))


def test_an_unknown_precision_is_named(tmp_path):
    folder = write_bundle(tmp_path)
    config = Bundle.open(folder).config
    assert isinstance(config, ModelConfig)
    with pytest.raises(InputError, match="dtype is 'float64', expected one of auto, float32"):
        TorchBackend.load(folder, config, precision="float64")
