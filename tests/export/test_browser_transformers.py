"""The drop-in claim: transformers.js loads the folder in its text-classification pipeline and says what Python says."""

import json
import subprocess

import pytest
from browser_site import DATA, SENTENCES, find_package

from browser import find_node
from elbert import Classifier
from elbert.data import read_examples
from elbert.export.browser import RUNTIME_FILES, write_page

SCRIPT = """
import { readFileSync } from "node:fs";
const [, , library, models, texts] = process.argv;
const { env, pipeline } = await import(library);
env.allowRemoteModels = false;
env.localModelPath = models;
const classify = await pipeline("text-classification", "site", { dtype: "fp32", device: "cpu" });
console.log(JSON.stringify(await classify(JSON.parse(readFileSync(texts, "utf8")), { top_k: null })));
"""


@pytest.fixture(scope="module")
def transformers_js():
    """The library's file for node."""
    package = find_package("@huggingface/transformers")
    return (package / "dist" / "transformers.node.mjs").as_uri()


@pytest.fixture
def runtime(tmp_path):
    """No test here runs onnxruntime-web."""
    for name in RUNTIME_FILES:
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("spec", [None, "full", "patience(2) | entropy(0.1)"])
def test_it_says_what_python_says(transformers_js, runtime, tmp_path, spec):
    write_page(None, spec, tmp_path / "site", runtime=runtime)
    file = DATA / "sst2" / "validation.parquet"
    texts = [e.text for e in read_examples(str(file))][100:164] if file.is_file() else list(SENTENCES)
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    (tmp_path / "classify.mjs").write_text(SCRIPT)
    command = [find_node(), "classify.mjs", transformers_js, str(tmp_path), "texts.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = [{one["label"]: one["score"] for one in answers} for answers in json.loads(done.stdout)]
    expected = Classifier.load(policy=spec, dtype="float32", threads=1).predict(texts)
    assert [max(scores, key=scores.get) for scores in found] == [one.label for one in expected]
    for scores, one in zip(found, expected):
        assert scores == pytest.approx(dict(one.scores), abs=1e-4)
