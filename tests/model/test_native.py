"""The native layer, in every variant that this processor runs, against the plain formula in float64."""

import ctypes
import threading
from functools import cache
from itertools import pairwise

import pytest
import torch

from elbert.model import native
from elbert.model.native import bindings
from forked import check_in_child, needs_fork
from native_layers import LENGTHS, NUMBERS, PLAIN, SHAPES, TOLERANCE, bounds_of, build, plain_layer, random

FOUND = native.list_variants()
VARIANTS = [] if isinstance(FOUND, native.NoVariant) else list(FOUND)
pytestmark = pytest.mark.skipif(not VARIANTS, reason=f"no native code: {getattr(FOUND, 'reason', '')}")
FORMS = [(variant, numbers) for variant in VARIANTS for numbers in NUMBERS]
IDS = [f"{variant.name}-{numbers}" for variant, numbers in FORMS]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@cache
def cases_of(shape, dtype):
    """Hidden values, bounds, tokens and what the plain formula makes of them: the same for every variant."""
    cases = []
    for lengths in LENGTHS.values():
        bounds = bounds_of(lengths)
        tokens = int(bounds[-1])
        hidden = random(tokens + 2, SHAPES[shape][0], seed=tokens).to(dtype)
        cases.append((hidden, bounds, tokens, plain_layer(hidden[:tokens], bounds, SHAPES[shape])))
    return cases


@pytest.mark.parametrize(("variant", "numbers"), FORMS, ids=IDS)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "bundled"])
def test_the_layer(variant, numbers, shape, threads):
    layer = build(variant, numbers, SHAPES[shape])
    cases = cases_of(shape, layer.dtype)
    for count in (1, 2):
        threads(count)
        for hidden, bounds, tokens, expected in cases:
            found = layer(hidden, bounds, tokens)
            assert found.dtype == layer.dtype
            torch.testing.assert_close(found[:tokens].double(), expected, atol=TOLERANCE[numbers], rtol=0)
            assert not found[tokens:].any()


@pytest.mark.parametrize(("variant", "numbers"), FORMS, ids=IDS)
def test_a_row_does_not_depend_on_its_neighbours_or_on_threads(variant, numbers, threads):
    shape, lengths = SHAPES["bundled"], [7, 1, 80, 33, 2, 64]
    layer, bounds = build(variant, numbers, shape), bounds_of(lengths)
    hidden = random(int(bounds[-1]), shape[0]).to(layer.dtype)
    threads(1)
    together = layer(hidden, bounds, len(hidden))
    for count in (1, 2):
        threads(count)
        assert torch.equal(layer(hidden, bounds, len(hidden)), together)
        for begin, end in pairwise(bounds.tolist()):
            alone = layer(hidden[begin:end].contiguous(), bounds_of([end - begin]), end - begin)
            assert torch.equal(alone, together[begin:end])


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("activation", PLAIN)
def test_activations(variant, activation):
    shape = SHAPES["narrow"]
    layer, bounds = build(variant, "float32", shape, activation), bounds_of([9])
    hidden = random(9, shape[0], scale=4)
    expected = plain_layer(hidden, bounds, shape, activation)
    torch.testing.assert_close(layer(hidden, bounds, 9).double(), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("variant", "numbers"), FORMS, ids=IDS)
def test_nan_reaches_its_own_row_only(variant, numbers):
    shape = SHAPES["bundled"]
    layer, bounds = build(variant, numbers, shape), bounds_of([5, 6])
    hidden = random(11, shape[0]).to(layer.dtype)
    hidden[2, 7] = torch.nan
    found = layer(hidden, bounds, 11)
    assert found[:5].isnan().any()
    assert found[5:].isfinite().all()


@pytest.mark.parametrize(("variant", "numbers"), FORMS, ids=IDS)
def test_large_and_zero_values_are_finite(variant, numbers):
    shape = SHAPES["bundled"]
    layer, bounds = build(variant, numbers, shape), bounds_of([20])
    for hidden in (random(20, shape[0], scale=1e3), torch.zeros(20, shape[0])):
        assert layer(hidden.to(layer.dtype), bounds, 20).isfinite().all()


def test_wrong_tensors_are_rejected():
    shape = SHAPES["narrow"]
    layer, bounds = build(VARIANTS[-1], "float32", shape), bounds_of([4])
    x = random(4, 32)
    for wrong in (
        (x.double(), bounds, 4),
        (x[:, :31].contiguous(), bounds, 4),
        (random(32, 4).t(), bounds, 4),
        (x.to("meta"), bounds, 4),
        (x.to_sparse(), bounds, 4),
        (x, bounds.int(), 4),
        (x, bounds.to("meta"), 4),
        (x, bounds, 5),
        (x, bounds, 3),
        (x, bounds, -1),
        (x, torch.empty(0, dtype=torch.int64), 4),
        (x, torch.tensor([0, 5]), 4),
        (x, torch.tensor([0, 3, 2, 4]), 4),
        (x, torch.tensor([1, 4]), 4),
        (x, torch.tensor([-(2**62), 4]), 4),
    ):
        with pytest.raises(ValueError):
            layer(*wrong)
    with pytest.raises(ValueError, match="multiples"):
        build(VARIANTS[-1], "float32", (30, 64, 3))


def test_structs_have_the_sizes_of_c():
    """A field that is added on one side only would shift those after it."""
    assert ctypes.sizeof(bindings.ProductStruct) == 9 * 8
    assert ctypes.sizeof(bindings.LayerStruct) == 5 * 8 + 4 * 72 + 4 * 8 + 8


def test_the_default_device_is_not_used():
    """Outputs are on the CPU wherever torch creates tensors by default: their addresses go to C."""
    shape = SHAPES["narrow"]
    layer, bounds, x = build(VARIANTS[-1], "int8", shape), bounds_of([4]), random(4, 32)
    expected = layer(x.to(layer.dtype), bounds, 4)
    other, hidden = build(VARIANTS[-1], "int8", shape, default_device="meta"), x.to(layer.dtype)
    with torch.device("meta"):
        found = other(hidden, bounds, 4)
    assert torch.equal(found, expected)


def test_calls_from_several_threads_at_once(threads):
    shape = SHAPES["bundled"]
    layer = build(VARIANTS[-1], "float32", shape)
    inputs = [random(n, shape[0], seed=n) for n in (3, 90, 40, 200)]
    threads(2)
    expected = [layer(x, bounds_of([len(x)]), len(x)) for x in inputs]
    wrong = []

    def work(index):
        x = inputs[index]
        for _ in range(30):
            if not torch.equal(layer(x, bounds_of([len(x)]), len(x)), expected[index]):
                wrong.append(index)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert not wrong
    assert not any(worker.is_alive() for worker in workers)


@needs_fork
def test_a_forked_process_starts_threads_of_its_own(threads):
    shape = SHAPES["bundled"]
    layer, x = build(VARIANTS[-1], "float32", shape), random(300, shape[0])
    threads(2)
    bounds = bounds_of([100, 200])
    before = layer(x, bounds, 300).numpy().tobytes()

    def check():  # runs only our code: torch's own threads ended with the fork, and torch.equal would wait for them
        assert layer(x, bounds, 300).numpy().tobytes() == before

    check_in_child(check)
