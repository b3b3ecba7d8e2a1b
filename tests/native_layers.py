"""A layer of random weights for the native code, and the plain formula in float64 that it is compared with."""

from itertools import pairwise

import torch
from torch.nn import functional

from elbert.model import native

NUMBERS = ("float32", "bfloat16", "int8")
# Of values of size 1: rounding of the weights, and of hidden values where they are bfloat16.
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1, "int8": 0.3}
LENGTHS = {
    "one token": [1],
    "one row": [8],
    "a few": [3, 1, 7],
    "a block": [64],
    "one more": [65],
    "long": [300],
    "long and short": [1, 200, 2, 90],
    "many": [5] * 60,
    "single tokens": [1] * 70,
    "mixed": [*range(1, 40)],
    "an empty row": [0, 5, 0],
}
SHAPES = {
    "bundled": (384, 1536, 12),
    "wide": (128, 512, 4),
    "narrow": (32, 64, 4),
    "odd heads": (144, 320, 4),
    "two per head": (32, 48, 16),
}


def random(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def weights(width, inner):
    def linear(out, summed, seed):
        return random(out, summed, seed=seed, scale=summed**-0.5), random(out, seed=seed + 1, scale=0.1)

    def norm(seed):
        return 1 + random(width, seed=seed, scale=0.1), random(width, seed=seed + 1, scale=0.1), 1e-12

    return {
        "qkv": linear(3 * width, width, 1),
        "dense": linear(width, width, 3),
        "attention_norm": norm(5),
        "widen": linear(inner, width, 7),
        "narrow": linear(width, inner, 9),
        "norm": norm(11),
    }


def build(variant, numbers, shape, activation="gelu_new", default_device="cpu"):
    width, inner, heads = shape
    parts = {
        name: value if "norm" in name else native.NativeProduct(*value) for name, value in weights(width, inner).items()
    }
    parts["widen"] = parts["widen"]._replace(activation=native.ACTIVATIONS[activation])
    with torch.device(default_device):
        return native.NativeLayer(variant, numbers, heads=heads, **parts)


PLAIN = {
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu": functional.gelu,
    "relu": functional.relu,
    "tanh": torch.tanh,
    "silu": functional.silu,
}


def plain_layer(hidden, bounds, shape, activation="gelu_new"):
    width, inner, heads = shape
    parts = weights(width, inner)
    of = {name: [torch.as_tensor(part).double() for part in value] for name, value in parts.items()}
    norms = {name: ([width], *of[name][:2]) for name in ("attention_norm", "norm")}
    x, rows = hidden.double(), []
    qkv = functional.linear(x, *of["qkv"])
    for begin, end in pairwise(bounds.tolist()):
        q, k, v = qkv[begin:end].view(end - begin, 3, heads, width // heads).permute(1, 2, 0, 3)
        mixture = (q @ k.transpose(1, 2) / (width // heads) ** 0.5).softmax(-1)
        rows.append((mixture @ v).transpose(0, 1).reshape(end - begin, width))
    mixed = functional.linear(torch.cat(rows), *of["dense"])
    attended = functional.layer_norm(x + mixed, *norms["attention_norm"])
    inside = PLAIN[activation](functional.linear(attended, *of["widen"]))
    return functional.layer_norm(attended + functional.linear(inside, *of["narrow"]), *norms["norm"])


def bounds_of(lengths):
    return torch.tensor([0, *lengths]).cumsum(0)
