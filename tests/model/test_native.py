"""Each native kernel against the plain formula in torch."""

import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from torch.nn import functional

from elbert.model import native

LOADED = native.load()
needs_kernels = pytest.mark.skipif(
    isinstance(LOADED, native.NoKernels), reason=f"no native kernels: {getattr(LOADED, 'reason', '')}"
)
DTYPES = [torch.float32, torch.bfloat16]
TOLERANCE = {torch.float32: 4e-6, torch.bfloat16: 0.02}
LENGTHS = {"one token": [1], "mixed": list(range(1, 71)), "long": [512, 3, 700]}
WIDTHS = [1, 15, 16, 70, 384]


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request):
    if request.param not in LOADED.dtypes:
        pytest.skip(f"this CPU has no {request.param} kernels")
    return request.param


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def starts_of(lengths):
    return torch.tensor([0, *lengths]).cumsum(0)


def plain_attention(qkv, starts, heads):
    width = qkv.shape[1] // 3
    rows = []
    for begin, end in pairwise(starts.tolist()):
        q, k, v = qkv[begin:end].double().view(end - begin, 3, heads, -1).permute(1, 2, 0, 3)
        weights = (q @ k.transpose(1, 2) / (width // heads) ** 0.5).softmax(-1)
        rows.append((weights @ v).transpose(0, 1).reshape(end - begin, width))
    return torch.cat(rows)


def values_of(quantised):
    return (quantised.codes.double() - 128) * quantised.scale[:, None]


def assert_quantised(quantised, expected):
    step = expected.abs().amax(-1) / 127
    assert torch.allclose(quantised.scale.double(), step, rtol=1e-5, atol=1e-6)
    assert ((values_of(quantised) - expected).abs() <= 0.502 * step[:, None] + 1e-5).all()


@needs_kernels
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("head_width", [2, 32, 64, 80])
def test_attend(dtype, lengths, head_width):
    starts = starts_of(lengths)
    qkv = random(sum(lengths), 3 * 3 * head_width, dtype=dtype)
    assert (LOADED.attend(qkv, starts, 3).double() - plain_attention(qkv, starts, 3)).abs().max() < TOLERANCE[dtype]


@needs_kernels
def test_attend_with_an_odd_head_width():
    qkv, starts = random(9, 3 * 2 * 7), starts_of([4, 5])
    assert torch.allclose(LOADED.attend(qkv, starts, 2).double(), plain_attention(qkv, starts, 2), atol=4e-6)
    with pytest.raises(ValueError, match="even head width"):
        LOADED.attend(qkv.bfloat16(), starts, 2)


@needs_kernels
def test_a_row_does_not_depend_on_its_neighbours(dtype):
    lengths = [*range(1, 71), 300]
    starts, qkv = starts_of(lengths), random(sum(lengths), 3 * 128, dtype=dtype)
    together = LOADED.attend(qkv, starts, 4)
    for length, (begin, end) in zip(lengths, pairwise(starts.tolist())):
        assert torch.equal(LOADED.attend(qkv[begin:end], starts_of([length]), 4), together[begin:end])


@needs_kernels
def test_large_scores_are_no_nan(dtype):
    qkv, starts = 300 * random(40, 3 * 64, dtype=dtype), starts_of([40])
    mixed = LOADED.attend(qkv, starts, 2)
    assert mixed.isfinite().all()
    assert (mixed.double() - plain_attention(qkv, starts, 2)).abs().max() < 900 * TOLERANCE[dtype]


@needs_kernels
def test_threads_change_nothing(dtype):
    qkv, starts, before = random(600, 3 * 64, dtype=dtype), starts_of([600]), torch.get_num_threads()
    many = LOADED.attend(qkv, starts, 1)
    try:
        torch.set_num_threads(1)
        assert torch.equal(LOADED.attend(qkv, starts, 1), many)
        torch.set_num_threads(7)
        assert torch.equal(LOADED.attend(qkv, starts, 1), many)
    finally:
        torch.set_num_threads(before)


@needs_kernels
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tokens", [1, 301])
def test_norms(dtype, width, tokens):
    x, y = random(tokens, width, dtype=dtype), 3 + random(tokens, width, dtype=dtype, seed=1)
    weight, shift, bias, scale = random(width), random(width, seed=2), random(width, seed=3), random(tokens).abs()

    def plain(total):
        return functional.layer_norm(total, (width,), weight.double(), shift.double(), 1e-6)

    sums = x.double() + y.double(), x.double() + scale[:, None] * y.double() + bias
    within = {"rtol": 1e-2 if dtype == torch.bfloat16 else 1e-4, "atol": 1e-4}
    assert torch.allclose(LOADED.add_norm(x, y, weight, shift, 1e-6).double(), plain(sums[0]), **within)
    arguments = x, y, scale, bias, weight, shift, 1e-6
    hidden, quantised = LOADED.scaled_add_norm_quantise(*arguments)
    assert torch.allclose(hidden.double(), plain(sums[1]), **within)
    assert torch.equal(LOADED.scaled_add_norm(*arguments), hidden)
    assert ((values_of(quantised) - plain(sums[1])).abs() <= 0.51 * quantised.scale[:, None] + 1e-4).all()


@needs_kernels
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tokens", [1, 301])
def test_quantise_and_dequantise(dtype, width, tokens):
    y, scale, bias = random(tokens, width, dtype=dtype), 4 * random(tokens).abs(), random(width)
    scale[0] = 0
    scaled = scale.double()[:, None] * y.double() + bias
    assert_quantised(LOADED.quantise(y), y.double())
    assert_quantised(LOADED.gelu_quantise(y, scale, bias), functional.gelu(scaled, approximate="tanh"))
    out = LOADED.dequantise(y, scale, bias)
    assert torch.allclose(out.double(), scaled, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)
    assert LOADED.dequantise(y, scale, bias, out=y) is y
    assert torch.equal(y, out)


@needs_kernels
def test_gelu_is_exact_to_a_millionth():
    x = torch.cat([torch.linspace(-12, 12, 20001), torch.tensor([-1e30, -1e3, 0.0, 1e3])])[:, None].contiguous()
    made = LOADED.gelu_quantise(x, torch.ones(len(x)), torch.zeros(1))  # one value a token: the scale tells it
    expected = functional.gelu(x.double(), approximate="tanh")[:, 0]
    assert torch.allclose(127 * made.scale.double(), expected.abs(), rtol=4e-7, atol=1e-6)


@needs_kernels
def test_zeros_have_scale_zero(dtype):
    x = torch.zeros(3, 20, dtype=dtype)
    made = LOADED.quantise(x)
    assert (made.codes == 128).all()
    assert (made.scale == 0).all()


@needs_kernels
def test_wrong_tensors_are_refused(dtype):
    qkv, starts, one = random(4, 96, dtype=dtype), starts_of([4]), torch.ones(32)
    x = random(4, 32, dtype=dtype)
    for wrong in (
        lambda: LOADED.attend(qkv.t().contiguous().t(), starts, 2),
        lambda: LOADED.attend(qkv.double(), starts, 2),
        lambda: LOADED.attend(qkv, starts.int(), 2),
        lambda: LOADED.attend(qkv, starts_of([5]), 2),
        lambda: LOADED.attend(qkv, torch.tensor([0, 5, 4]), 2),
        lambda: LOADED.attend(qkv, starts, 5),
        lambda: LOADED.attend(qkv[0], starts, 2),
        lambda: LOADED.add_norm(x, x[:3], one, one, 1e-6),
        lambda: LOADED.add_norm(x, x, one.double(), one, 1e-6),
        lambda: LOADED.quantise(x[:, ::2]),
        lambda: LOADED.gelu_quantise(x, one, one),
        lambda: LOADED.dequantise(x, one[:4], one, out=x[:2]),
        lambda: LOADED.dequantise(x, one[:4], one, out=x.to("meta")),
        lambda: LOADED.dequantise(x, one[:4], one, out=x.double()),
        lambda: LOADED.dequantise(x, one[:4], one, out=x.t().contiguous().t()),
        lambda: LOADED.attend(qkv.to("meta"), starts, 2),
        lambda: LOADED.attend(qkv, starts.to("meta"), 2),
        lambda: LOADED.quantise(x.to("meta")),
        lambda: LOADED.quantise(x.to_sparse()),
        lambda: LOADED.add_norm(x, x, one.to("meta"), one, 1e-6),
        lambda: LOADED.scaled_add_norm(x, x, one[:4].to("meta"), one, one, one, 1e-6),
        lambda: LOADED.scaled_add_norm_quantise(x, x, one[:4], one[:31], one, one, 1e-6),
    ):
        with pytest.raises(ValueError):
            wrong()


@needs_kernels
def test_the_default_device_is_not_used(dtype):
    """Outputs are on the CPU wherever torch creates tensors by default: their addresses go to C."""
    qkv, starts, one = random(4, 96, dtype=dtype), starts_of([4]), torch.ones(32)
    x = random(4, 32, dtype=dtype)

    def call_all():
        hidden, quantised = LOADED.scaled_add_norm_quantise(x, x, one[:4], one, one, one, 1e-6)
        norms = LOADED.add_norm(x, x, one, one, 1e-6), LOADED.scaled_add_norm(x, x, one[:4], one, one, one, 1e-6)
        others = LOADED.quantise(x), LOADED.gelu_quantise(x, one[:4], one), (LOADED.dequantise(x, one[:4], one),)
        return LOADED.attend(qkv, starts, 2), hidden, *quantised, *norms, *(part for other in others for part in other)

    expected = call_all()
    with torch.device("meta"):
        found = call_all()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@needs_kernels
def test_no_second_pool_of_threads():
    """In a process of its own: other packages bring pools too."""
    code = """
import re, torch
from elbert.model import native
native.load().add_norm(torch.ones(300, 64), torch.ones(300, 64), torch.ones(64), torch.ones(64), 1e-6)
print(len(set(re.findall(r"\\S*lib[gi]?omp[^/ ]*[.]so\\S*", open("/proc/self/maps").read()))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
