"""What a program sets in torch changes no prediction, and a prediction changes nothing of what it sets."""

import ast
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

import elbert
from elbert.classifier import Classifier
from elbert.explain import explain
from elbert.model.isolation import limit_threads, read_quota
from elbert.model.precision import can_int8
from tiny import texts

SOURCE = Path(elbert.__file__).parent
TEXTS = texts(40)
DTYPES = ["float32", "bfloat16", *(["int8"] if can_int8() else [])]


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    yield
    torch.set_default_device(None)


SURROUNDINGS = {
    "default device meta": lambda: default_device("meta"),
    "device meta": lambda: torch.device("meta"),
    "autocast bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "default float64": lambda: default_dtype(torch.float64),
    "default bfloat16": lambda: default_dtype(torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "gradients": torch.enable_grad,
    "numpy raises": lambda: np.errstate(all="raise"),
}


@pytest.fixture(scope="module", params=DTYPES)
def reference(request, bundle_folder):
    """A classifier, and what it predicts where nothing is set."""
    classifier = Classifier.load(bundle_folder, "entropy(0.4)", dtype=request.param)
    return classifier, classifier.predict(TEXTS, trace=True)


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_predictions_are_equal_whatever_is_set(reference, bundle_folder, name):
    classifier, expected = reference
    with SURROUNDINGS[name]():
        assert classifier.predict(TEXTS, trace=True) == expected
        loaded = Classifier.load(bundle_folder, "entropy(0.4)", dtype=classifier.dtype)
        assert loaded.predict(TEXTS, trace=True) == expected
    assert loaded.predict(TEXTS, trace=True) == expected


def test_explanations_are_equal_whatever_is_set(bundle_folder):
    """They also run the reference model of transformers."""
    classifier = Classifier.load(bundle_folder, "entropy(0.4)", dtype="float32")
    expected = explain(classifier, TEXTS[0]).steps
    for name in ("default device meta", "autocast bfloat16", "default float64", "gradients"):
        with SURROUNDINGS[name]():
            found = explain(classifier, TEXTS[0]).steps
        assert [step.scores for step in found] == [step.scores for step in expected], name
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.attention == pytest.approx(theirs.attention, abs=1e-6)


def test_settings_may_change_within_a_stream(reference):
    classifier, expected = reference
    found = []
    with ExitStack() as stack:
        stream = classifier.stream(iter(TEXTS), trace=True)
        for name in ("autocast bfloat16", "device meta", "default float64"):
            found.append(next(stream))
            stack.enter_context(SURROUNDINGS[name]())
        found += stream
    assert found == expected


@pytest.mark.parametrize("code", ["can_pack(torch.float32, torch.device('cpu'))", "can_int8()"])
def test_checks_of_the_machine_are_not_influenced(code):
    """Their results are kept for the whole process, so the first call must not depend on its surroundings."""
    program = f"""
import torch
from elbert.model.layer import can_pack
from elbert.model.int8 import can_int8
torch.set_default_device("meta")
torch.set_default_dtype(torch.float64)
with torch.autocast("cpu"):
    print({code})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    import elbert.model.int8
    import elbert.model.layer

    names = vars(elbert.model.layer) | vars(elbert.model.int8) | {"torch": torch}
    assert done.stdout == f"{eval(code, names)}\n"


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_no_setting_of_others(bundle_folder, threads):
    """Not of this thread, nor of one that runs, nor of one that starts while a call is in progress."""
    classifier = Classifier.load(bundle_folder, threads=threads)
    before, seen = torch.get_num_threads(), []

    class Watch:
        """The backend, which looks at torch's setting from threads that start within a call."""

        def __getattr__(self, name):
            return getattr(classifier_backend, name)

        def step(self, *arguments):
            seen.append(("inside", torch.get_num_threads()))
            other = threading.Thread(target=lambda: seen.append(("other", torch.get_num_threads())))
            other.start()
            other.join()
            return classifier_backend.step(*arguments)

    classifier_backend, classifier.backend = classifier.backend, Watch()
    stream = classifier.stream(iter(TEXTS))
    next(stream)
    assert torch.get_num_threads() == before
    torch.set_num_threads(before + 1)
    try:
        list(stream)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert {number for where, number in seen if where == "inside"} == {threads}
    assert {number for where, number in seen if where == "other"} <= {before, before + 1}


def test_an_error_restores_the_number_of_threads(bundle_folder):
    classifier, before = Classifier.load(bundle_folder, threads=3), torch.get_num_threads()
    with pytest.raises(elbert.InputError):
        classifier.predict(["a film", 5])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "25000 100000"}, 0.25),
        ("0::/of/the/host", {"cpu.max": "200000 100000"}, 2.0),
        (
            "4:cpu,cpuacct:/x",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "300000", "cpu,cpuacct/x/cpu.cfs_period_us": "1e5"},
            3.0,
        ),
        ("4:cpu:/x", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("4:memory:/x", {}, None),
        ("", {"cpu.max": "many few"}, None),
        ("", {"cpu.max": "1 0"}, None),
    ],
)
def test_the_quota_of_a_container(tmp_path, membership, files, quota):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "membership").write_text(membership)
    assert read_quota(tmp_path, tmp_path / "membership") == quota
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        limit = limit_threads(tmp_path, tmp_path / "membership")
    finally:
        torch.set_num_threads(threads)
    assert limit == (1 if quota is not None and quota <= 1 else None)


# Functions of torch that create a tensor on the default device, or of the default type.
FACTORIES = {
    *("arange", "as_tensor", "asarray", "empty", "empty_strided", "eye", "full", "linspace", "logspace", "normal"),
    *("ones", "rand", "randint", "randn", "randperm", "scalar_tensor", "tensor", "tril_indices", "zeros"),
}


def test_tensors_are_created_with_an_explicit_device_and_type():
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in FACTORIES and ast.unparse(node.func.value) == "torch":
                named = {keyword.arg for keyword in node.keywords}
                assert None in named or {"device", "dtype"} <= named, f"{file}:{node.lineno}: {ast.unparse(node)}"
