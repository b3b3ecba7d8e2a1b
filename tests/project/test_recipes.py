"""The recipes that made the bundled model: each can be read, and those that need no MiniLM are run."""

import ast
import json
import runpy
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from elbert import Classifier
from elbert.data import read_examples
from tiny import texts, write_bundle

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.py"))


def run(name, *arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(ROOT / "recipes" / name), run_name="__main__")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.name)
def test_every_recipe_parses_and_is_named_in_the_list(recipe):
    assert ast.get_docstring(ast.parse(recipe.read_text()))
    listed = (ROOT / "recipes" / "README.md").read_text()
    assert recipe.name in listed or recipe.stem in ("stream", "student")  # parts of carry_over.py


def write_sentences(folder, sentences):
    folder.mkdir()
    phrases = [(s, i % 2) for i, s in enumerate(sentences)]
    phrases += [(" ".join(s.split()[:3]), i % 2) for i, s in enumerate(sentences)]
    table = pa.table({"text": [t for t, _ in phrases], "label": pa.array([y for _, y in phrases], pa.int32())})
    pq.write_table(table, folder / "train.parquet")
    (folder / "labels.json").write_text(json.dumps(["negative", "positive"]))


def test_held_out_sentences_leave_nothing_of_themselves_in_training(tmp_path, monkeypatch):
    sentences = [f"word{i} of sentence number{i} is quite unlike the others" for i in range(900)]
    write_sentences(tmp_path / "sst2", sentences)
    run("held_out.py", tmp_path / "sst2", tmp_path / "cut", monkeypatch=monkeypatch)
    held = {e.text for e in read_examples(str(tmp_path / "cut" / "held_out.parquet"))}
    kept = {e.text for e in read_examples(str(tmp_path / "cut" / "train.parquet"))}
    assert len(held) == 800
    assert held < set(sentences)
    assert len(kept) == 200  # the other hundred sentences and their first words
    assert not any(k in h for k in kept for h in held)


def test_operating_points_then_bundle(tmp_path, monkeypatch):
    model = write_bundle(tmp_path / "model")
    lines = [json.dumps({"text": t, "label": i % 2}) for i, t in enumerate(texts(40))]
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(lines))
    files = ["--model", model, "--held-out", data, "--report", f"test={data}"]
    run("operating_points.py", *files, monkeypatch=monkeypatch)
    run("bundle.py", model, tmp_path / "bundled", monkeypatch=monkeypatch)
    weights = load_file(tmp_path / "bundled" / "model.safetensors")
    assert {str(w.dtype) for w in weights.values()} == {"torch.float16"}
    points = Classifier.load(tmp_path / "bundled").bundle.points
    assert set(points) == {"safe", "balanced", "fast"}
    safe, fast = points["safe"].measured["held_out"], points["fast"].measured["held_out"]
    assert safe["accuracy"] >= safe["accuracy_full"] - 0.005
    assert fast["accuracy"] >= fast["accuracy_full"] - 0.02
    assert fast["mean_depth"] <= safe["mean_depth"]
