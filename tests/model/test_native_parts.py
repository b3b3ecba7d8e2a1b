"""Head, embedding and products of float16 weights, in every variant that this processor runs, and plain formulas."""

from itertools import pairwise

import pytest
import torch
from torch.nn import functional

import native_layers
from elbert.model import native
from native_layers import NUMBERS, TOLERANCE, bounds_of, build, plain_layer, random

FOUND = native.list_variants()
VARIANTS = [] if isinstance(FOUND, native.NoVariant) else list(FOUND)
pytestmark = pytest.mark.skipif(not VARIANTS, reason=f"no native code: {getattr(FOUND, 'reason', '')}")
FORMS = [(variant, numbers) for variant in VARIANTS for numbers in NUMBERS]
IDS = [f"{variant.name}-{numbers}" for variant, numbers in FORMS]


def linear(out, summed, seed):
    return random(out, summed, seed=seed, scale=summed**-0.5), random(out, seed=seed + 1)


def apply(x, product):
    return functional.linear(x, *(part.double() for part in product))


@pytest.mark.parametrize(("variant", "numbers"), FORMS, ids=IDS)
@pytest.mark.parametrize("is_mean", [False, True])
def test_the_head(variant, numbers, is_mean):
    pooler, classifier = linear(48, 32, 1), linear(5, 48, 3)
    head = native.NativeHead(
        variant,
        numbers,
        pooler=native.NativeProduct(*pooler, native.ACTIVATIONS["tanh"]),
        classifier=native.NativeProduct(*classifier),
        is_mean=is_mean,
    )
    bounds, hidden = bounds_of([1, 7, 2, 30]), random(40, 32).to(head.dtype)
    rows = [hidden[begin:end].double() for begin, end in pairwise(bounds.tolist())]
    x = torch.stack([row.mean(0) if is_mean else row[0] for row in rows])
    expected = apply(apply(x, pooler).tanh(), classifier)
    tolerance = TOLERANCE["float32" if numbers == "float32" else "bfloat16"]
    torch.testing.assert_close(head(hidden, bounds, 40).double(), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(("variant", "numbers"), FORMS, ids=IDS)
@pytest.mark.parametrize("padding", [None, 1], ids=["positions from 0", "positions behind padding"])
@pytest.mark.parametrize("is_albert", [False, True], ids=["no map", "map"])
def test_the_embedding(variant, numbers, padding, is_albert):
    dtype, norm, product = (
        variant.hidden_dtype(numbers),
        (1 + random(16, seed=5) / 9, random(16, seed=6)),
        linear(32, 16, 7),
    )
    words, positions, segments = (random(n, 16, seed=n).to(dtype) for n in (50, 40, 2))
    embedding = native.NativeEmbedding(
        variant,
        numbers,
        words=words,
        positions=positions,
        segments=segments if is_albert else None,
        norm=(*norm, 1e-12),
        map=native.NativeProduct(*product) if is_albert else None,
        padding=padding,
    )
    lengths, bounds = [3, 1, 30], bounds_of([3, 1, 30])
    ids, types = torch.arange(34) * 7 % 50, torch.arange(34) % 2
    ids[1] = ids[9] = 1
    position = torch.cat([torch.arange(n) for n in lengths])
    if padding is not None:
        position = torch.cat([((row != 1).cumsum(0) * (row != 1)) + 1 for row in ids.split(lengths)])
    x = words[ids].double() + positions[position].double() + (segments[types].double() if is_albert else 0)
    expected = functional.layer_norm(x, [16], *(part.double() for part in norm))
    if is_albert:
        expected = apply(expected, product)
    found = embedding(ids, types, bounds, 36)
    tolerance = TOLERANCE["float32" if dtype == torch.float32 else "bfloat16"]
    torch.testing.assert_close(found[:34].double(), expected, atol=tolerance, rtol=0)
    assert not found[34:].any()
    for wrong in ((ids + 20, types), (ids - 1, types), (ids, types + 1) if is_albert else (ids + 20, types)):
        with pytest.raises(ValueError, match="no embedding"):
            embedding(*wrong, bounds, 36)
    with pytest.raises(ValueError, match="bounds"):
        embedding(torch.zeros(60, dtype=torch.int64), torch.zeros(60, dtype=torch.int64), bounds_of([60]), 60)


@pytest.fixture
def float16_weights(monkeypatch):
    """All weights of layers are float16 numbers, as in a file of float16."""
    full = native_layers.weights
    monkeypatch.setattr(
        native_layers,
        "weights",
        lambda *sizes: {
            name: tuple(part.half().float() if isinstance(part, torch.Tensor) else part for part in value)
            for name, value in full(*sizes).items()
        },
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("shape", ["bundled", "narrow", "odd heads"])
def test_float16_weights(variant, shape, float16_weights):
    """They are read as such, and the results are those of float32 arithmetic, whatever rows are computed together."""
    shape = native_layers.SHAPES[shape]
    layer, lengths = build(variant, "float32", shape), [7, 1, 12, 80, 33, 2, 64, 130]
    bounds = bounds_of(lengths)
    hidden = random(sum(lengths), shape[0])
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            together = layer(hidden, bounds, len(hidden))
            parts = [hidden[begin:end].contiguous() for begin, end in pairwise(bounds.tolist())]
            alone = [layer(part, bounds_of([len(part)]), len(part)) for part in parts]
            found += [together, torch.cat(alone)]
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found[0].double(), plain_layer(hidden, bounds, shape), atol=5e-5, rtol=0)
    assert all(torch.equal(other, found[0]) for other in found)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_large_small_and_missing_numbers_with_float16_weights(variant, float16_weights):
    shape = native_layers.SHAPES["bundled"]
    layer, bounds = build(variant, "float32", shape), bounds_of([5, 6])
    for scale in (1e-30, 1e3, 1e15):
        hidden = random(11, shape[0], scale=scale)
        assert layer(hidden, bounds, 11).isfinite().all()
    hidden[2, 7] = torch.nan
    found = layer(hidden, bounds, 11)
    assert found[:5].isnan().any()
    assert found[5:].isfinite().all()
