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


def test_reviews_of_the_test_part_leave_the_training_part(tmp_path, monkeypatch):
    source = tmp_path / "imdb"
    source.mkdir()
    for name, rows in (("train", ["one<br />two", "both", "three"]), ("test", ["both", "four"])):
        pq.write_table(
            pa.table({"text": rows, "label": pa.array([0] * len(rows), pa.int32())}), source / f"{name}.parquet"
        )
    (source / "labels.json").write_text('["negative", "positive"]')
    run("reviews.py", source, tmp_path / "out", monkeypatch=monkeypatch)
    assert sorted(e.text for e in read_examples(str(tmp_path / "out" / "train.parquet"))) == ["one two", "three"]


def test_a_bundle_is_in_half_precision_and_loads_in_single(tmp_path, monkeypatch):
    run("bundle.py", write_bundle(tmp_path / "model"), tmp_path / "bundled", monkeypatch=monkeypatch)
    weights = load_file(tmp_path / "bundled" / "model.safetensors")
    assert {str(w.dtype) for w in weights.values()} == {"torch.float16"}
    assert json.loads((tmp_path / "bundled" / "config.json").read_text())["dtype"] == "float32"
    Classifier.load(tmp_path / "bundled")


def test_a_head_is_divided_by_one_temperature_of_held_out_texts(tmp_path, monkeypatch):
    model = write_bundle(tmp_path / "model")
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(json.dumps({"text": t, "label": i % 2}) for i, t in enumerate(texts(40))))
    monkeypatch.syspath_prepend(ROOT / "recipes")  # as for a script that is run
    run("temper.py", model, data, tmp_path / "out", monkeypatch=monkeypatch)
    before, after = (load_file(folder / "model.safetensors") for folder in (model, tmp_path / "out"))
    (ratio,) = {round(float(r), 3) for r in (before["classifier.weight"] / after["classifier.weight"]).flatten()}
    assert ratio > 1.5, "these labels are random"
    assert all(after[name].equal(value) for name, value in before.items() if not name.startswith("classifier"))
    sure, fair = (Classifier.load(folder, "full").predict(texts(40)) for folder in (model, tmp_path / "out"))
    assert [one.label for one in sure] == [one.label for one in fair]
    assert sum(one.score for one in fair) < sum(one.score for one in sure)
