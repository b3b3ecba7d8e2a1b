"""A classifier in other processes: after a fork, pickled, copied."""

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch

import elbert
from elbert.classifier import Classifier, reload_classifier
from elbert.errors import BundleError, InputError
from elbert.exits import policy
from elbert.explain import explain
from elbert.model.precision import can_int8
from forked import check_in_child, needs_fork
from tiny import texts, write_bundle

# Run in a process of its own, with two threads; prints a JSON line for each case, so that one that hangs is known.
PROGRAM = """
import json, multiprocessing, os, sys, threading
import torch
from elbert import Classifier
torch.set_num_threads(2)
MODEL, TEXTS, CASES = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
def load(dtype="float32", threads=None):
    return Classifier.load(MODEL, dtype=dtype, threads=threads)
def answer(classifier, texts=TEXTS):
    return [[p.label, p.depth] for p in classifier.predict(texts)]
def in_child(work):
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    found = b""
    while part := os.read(reader, 65536):
        found += part
    os.waitpid(child, 0)
    return json.loads(found)
def in_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]
def in_pool(classifier):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return sum(pool.starmap(answer, [(classifier, TEXTS[:20]), (classifier, TEXTS[20:])]), [])
def setting_in_child(classifier):
    return in_child(lambda: [answer(classifier), torch.get_num_threads()] == [expected, 2])
torch.randn(600, 600) @ torch.randn(600, 600)  # the parent's threads are in use, whatever a load does
for case in CASES:
    print(json.dumps([case, eval(case)]), flush=True)
    if case == "answer(classifier := load())":
        expected = answer(classifier)
"""
CASES = [  # in this order: the first ones with a classifier that was never used in the parent
    "in_child(lambda: answer(load()))",
    "in_child(lambda: answer(load(threads=2)))",
    "in_child((lambda classifier: lambda: answer(classifier))(load()))",
    "answer(classifier := load())",
    "in_child(lambda: answer(classifier))",
    "in_child(lambda: in_child(lambda: answer(classifier)))",
    "in_child(lambda: in_thread(lambda: answer(classifier)))",
    "in_child(lambda: answer(load()))",
    "in_thread(lambda: in_child(lambda: answer(classifier)))",
    "in_pool(classifier)",
    "answer(classifier)",
    "setting_in_child(classifier)",
    "[answer(classifier := load(threads=2)), in_child(lambda: answer(classifier))][1]",
    "[answer(classifier := load('bfloat16')), len(in_child(lambda: answer(classifier)))][1]",
    *(["[answer(classifier := load('int8')), len(in_child(lambda: answer(classifier)))][1]"] if can_int8() else []),
]
USED = CASES[3:5]
TEXTS = texts(40)


def run_cases(cases, model, **environment):
    """Return the result of each case, which must all come."""
    surroundings = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model), json.dumps(TEXTS), *cases],
        capture_output=True,
        text=True,
        timeout=300,
        env=surroundings | {"OMP_NUM_THREADS": "2"} | environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory):
    """A model wide enough for its products and kernels to use several threads."""
    return write_bundle(tmp_path_factory.mktemp("wide") / "model", hidden_size=256, intermediate_size=512)


@pytest.fixture(scope="module")
def expected(wide_folder):
    return [[p.label, p.depth] for p in Classifier.load(wide_folder, dtype="float32").predict(TEXTS)]


@needs_fork
def test_a_forked_process_answers(wide_folder, expected):
    others = {len(expected), True}  # of another precision only the number of results is compared
    found = run_cases(CASES, wide_folder)
    assert [case for case, _ in found] == CASES
    assert [case for case, result in found if result != expected and result not in others] == []


@needs_fork
def test_a_forked_process_answers_without_kernels_and_where_tokenizers_must_use_threads(wide_folder, expected):
    found = run_cases(USED, wide_folder, ELBERT_NATIVE="0", TOKENIZERS_PARALLELISM="true")
    assert [result for _, result in found] == [expected] * len(USED)


@needs_fork
def test_a_device_after_a_fork_is_refused(bundle_folder):
    classifier = Classifier.load(bundle_folder, threads=1)
    classifier.backend = type("Cuda", (), {"device": torch.device("cuda", 0), "config": classifier.backend.config})()

    def check():
        with pytest.raises(InputError, match=r"Classifier\.load in each process"):
            classifier.predict(["a film"])

    check_in_child(check)


# --- pickled and copied ---------------------------------------------------------------------------------------------

WAYS = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
POINTS = {"version": 1, "points": {"fast": {"policy": "entropy(0.4)"}, "slow": {"policy": "full"}}, "default": "slow"}


class Derived(Classifier):
    """A class of a program that builds on the classifier."""


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_has_the_same_settings(tmp_path, monkeypatch, way):
    write_bundle(tmp_path / "model", points=POINTS)
    monkeypatch.chdir(tmp_path)
    options = {"dtype": "float32", "max_rows": 3, "max_tokens": 99, "threads": 1, "strict": True}
    classifier = Derived.load("model", "fast", **options)  # a relative path
    monkeypatch.chdir("/")
    made = WAYS[way](classifier)
    assert type(made) is Derived
    assert made.backend is not classifier.backend
    for name in ("policy", "dtype", "capacity", "threads", "strict", "labels", "depths"):
        assert getattr(made, name) == getattr(classifier, name), name
    assert made.predict(TEXTS, trace=True) == classifier.predict(TEXTS, trace=True)
    assert WAYS[way](made).predict(TEXTS) == classifier.predict(TEXTS)


def test_a_pickle_is_small_and_names_the_bundled_model_by_its_name():
    pickled = pickle.dumps(Classifier.load(threads=1))
    assert len(pickled) < 2000
    assert b"bundled" not in pickled


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
def test_a_folder_that_is_gone_is_named(tmp_path, way):
    classifier = Classifier.load(write_bundle(tmp_path / "model"), threads=1)
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(BundleError, match=r"model: no such folder; .*call Classifier\.load in each process"):
        WAYS[way](classifier)
    with pytest.raises(BundleError):
        reload_classifier(Classifier, {"model": tmp_path / "model"})


@pytest.mark.slow
def test_a_bound_method_works_in_a_spawned_process(bundle_folder):
    program = """
import multiprocessing, sys
from elbert import Classifier
if __name__ == "__main__":
    classifier = Classifier.load(sys.argv[1], "entropy(0.4)", threads=1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(classifier.predict, [["a film"]]) == [classifier.predict(["a film"])]
"""
    code = "import runpy, sys\nsys.argv[0] = sys.argv.pop(1)\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    script = bundle_folder.parent / "spawn.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, "-c", code, str(script), str(bundle_folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("way", WAYS)
def test_results_are_values(bundle_folder, way):
    classifier = Classifier.load(bundle_folder, "entropy(0.4)", threads=1)
    values = [
        *classifier.predict(TEXTS[:3], trace=True),
        *(policy(spec) for spec in ("entropy(0.4)", "window(0.1, 3)", "depth(2)|patience(2)", "full")),
        classifier.bundle.points,
        elbert.BadRow("a.csv", 3, "no label"),
    ]
    for value in values:
        made = WAYS[way](value)
        assert made == value or vars(made) == vars(value)
    explanation = explain(classifier, "a good film")
    assert str(WAYS[way](explanation)) == str(explanation)
