"""The compiled C on processors that this machine is not, under an emulator: the right variant, the right numbers."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # the build hook is no part of the package

from emulation import emulated_variant, variants  # noqa: E402

from elbert import Classifier  # noqa: E402
from elbert.model import native  # noqa: E402
from native_layers import NUMBERS, PLAIN, SHAPES, TOLERANCE, bounds_of, build, plain_layer, random  # noqa: E402
from tiny import texts, write_bundle  # noqa: E402

pytestmark = pytest.mark.slow

FASTEST = {  # processor family, qemu's model of a processor: the variant that the dispatcher chooses
    ("aarch64", "cortex-a53"): "neon",
    ("aarch64", "cortex-a72"): "neon",
    ("aarch64", "cortex-a76"): "neon_dot",
    ("aarch64", "neoverse-n1"): "neon_dot",
    ("aarch64", "max"): "neon_bf16",
    ("x86_64", "Nehalem"): None,  # no AVX
    ("x86_64", "SandyBridge"): None,  # no AVX2
    ("x86_64", "Haswell"): "avx2",
    ("x86_64", "EPYC"): "avx2",
    ("x86_64", "Haswell,-fma"): None,
    ("x86_64", "Haswell,-xsave"): None,  # the system does not save wide registers
    ("x86_64", "Skylake-Server"): "avx2",  # qemu has no AVX-512, and says so by CPUID and XGETBV
    ("x86_64", "max"): "avx2",
}
ORDER = {"aarch64": ["neon", "neon_dot", "neon_bf16"], "x86_64": ["avx2"]}
WINDOWS = [("windows", "this machine", name) for name in ("avx2", "avx512_bf16")]
RUNS = [  # the oldest model that runs a variant: no newer instruction is in it
    ("aarch64", "cortex-a53", "neon"),
    ("aarch64", "cortex-a76", "neon_dot"),
    ("aarch64", "max", "neon_bf16"),
    ("x86_64", "Haswell", "avx2"),
]
LENGTHS = {"one token": [1], "a few": [3, 1, 7], "an empty row": [0, 5, 0], "a block": [70], "mixed": [9, 1, 30, 2, 40]}
THREADS = (1, 2)


def chosen(machine, model, name):
    if not variants(machine, model)[name][0]:
        pytest.skip(f"this machine does not run {name}")
    return emulated_variant(machine, model, name)


@pytest.mark.parametrize(("machine", "model"), FASTEST)
def test_the_dispatcher_chooses_the_fastest_variant(machine, model):
    running = [name for name, (runs, _, _) in variants(machine, model).items() if runs]
    fastest = FASTEST[machine, model]
    order = ORDER[machine]
    assert running == (order[: order.index(fastest) + 1] if fastest else [])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize(("machine", "model", "name"), RUNS, ids=[name for _, _, name in RUNS])
def test_a_layer_is_the_plain_formula(machine, model, name, numbers, threads):
    for shape in (SHAPES["narrow"], SHAPES["odd heads"]):
        layer = build(emulated_variant(machine, model, name), numbers, shape)
        for lengths in LENGTHS.values():
            bounds = bounds_of(lengths)
            tokens = int(bounds[-1])
            hidden = random(tokens + 2, shape[0], seed=tokens).to(layer.dtype)
            expected = plain_layer(hidden[:tokens], bounds, shape)
            for count in THREADS:
                threads(count)
                found = layer(hidden, bounds, tokens)
                torch.testing.assert_close(found[:tokens].double(), expected, atol=TOLERANCE[numbers], rtol=0)
                assert not found[tokens:].any()


@pytest.mark.parametrize("activation", PLAIN)
@pytest.mark.parametrize(("machine", "model", "name"), RUNS, ids=[name for _, _, name in RUNS])
def test_activations(machine, model, name, activation):
    shape = SHAPES["narrow"]
    layer, bounds = build(emulated_variant(machine, model, name), "float32", shape, activation), bounds_of([9])
    hidden = random(9, shape[0], scale=4)
    expected = plain_layer(hidden, bounds, shape, activation)
    torch.testing.assert_close(layer(hidden, bounds, 9).double(), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("numbers", NUMBERS)
def test_the_layer_on_windows(numbers, threads):
    """Of this machine's fastest variant there, with threads: they are another library's than on other systems."""
    name = [name for name, (runs, _, _) in variants("windows", "this machine").items() if runs][-1]
    layer = build(chosen("windows", "this machine", name), numbers, SHAPES["wide"])
    bounds = bounds_of(LENGTHS["mixed"])
    hidden = random(int(bounds[-1]), SHAPES["wide"][0]).to(layer.dtype)
    expected = plain_layer(hidden, bounds, SHAPES["wide"])
    for count in THREADS:
        threads(count)
        torch.testing.assert_close(
            layer(hidden, bounds, len(hidden)).double(), expected, atol=TOLERANCE[numbers], rtol=0
        )


def test_wrong_bounds_are_refused_there_too():
    layer = build(emulated_variant("aarch64", "max", "neon_bf16"), "float32", SHAPES["narrow"])
    with pytest.raises(ValueError, match="bounds"):
        layer(random(4, 32), torch.tensor([0, 3, 2, 4]), 4)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize(
    ("machine", "model", "name"), RUNS + WINDOWS, ids=[f"{machine}-{name}" for machine, _, name in RUNS + WINDOWS]
)
def test_texts_exit_as_on_torch(machine, model, name, numbers, tmp_path, monkeypatch):
    """Embedding, layer, exit head and decision, for texts that exit at different depths."""
    folder, some = write_bundle(tmp_path), texts(12, longest=12)
    variant, steps = chosen(machine, model, name), []
    counted = replace(  # single steps, because calls of many rows count none; tests/engine/test_refilling.py has those
        variant,
        run_step=lambda *arguments: steps.append(arguments[2]) or variant.run_step(*arguments),
        run_refill=None,
    )
    found = []
    for native_code in (native.NoVariant("off"), counted):
        monkeypatch.setattr(native, "load", lambda code=native_code: code)
        classifier = Classifier.load(folder, "patience(2) | confidence(0.98)", dtype=numbers, threads=1)
        found.append(classifier.predict(some))
    same = [(one, other) for one, other in zip(*found) if (one.depth, one.reason) == (other.depth, other.reason)]
    assert len(same) >= (len(some) if numbers == "float32" else len(some) - 2)  # rounding moves a few exits
    for one, other in same:
        assert one.scores == pytest.approx(other.scores, abs=TOLERANCE[numbers] / 4)
    assert len({one.depth for one, _ in same}) > 1
    assert len(steps) >= max(one.depth for one, _ in same)
    assert all(steps), "every step has rows that decide"
