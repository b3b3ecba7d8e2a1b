"""The experiments, end to end on a tiny bundle and synthetic sets: cutting, training, resuming, choosing, reporting."""

import ast
import json
import re
import runpy
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from elbert import load_outputs, policy
from elbert.bundle.certificate import files_hash
from elbert.data import read_examples
from elbert.errors import DataError, InputError
from elbert.evaluation import Outputs
from elbert.evaluation.statistics import mcnemar
from tiny import texts, tiny_model, write_bundle

ROOT = Path(__file__).parents[2]
HERE = ROOT / "experiments"
sys.path.insert(0, str(HERE))  # experiments are scripts: their folder is their root

from lab import figures, goals, pooling, report, selection  # noqa: E402
from lab.fit import TASK  # noqa: E402
from lab.parts import PARTS, check, cut, key, prepare  # noqa: E402
from lab.places import Places, claim_folder  # noqa: E402
from lab.records import Records  # noqa: E402
from lab.runs import GENERAL_BASE, Base  # noqa: E402
from lab.sets import SETS, DataSet  # noqa: E402
from lab.variants import (  # noqa: E402
    Alternating,
    LastOnly,
    centred_weights,
    keep_gradients_apart,
    parse_variant,
    shallower,
)

FILES = sorted(HERE.rglob("*.py"))
FAMILIES = ["gap | window", "window", "entropy", "patience", "depth"]
DEPTHS = 4
SMALL = {"stopping": 20, "calibration": 80, "max_length": 32, "epochs": 1.0, "rate": 2e-3, "batch": 16}


def rows(n, seed=0):
    """Texts, all different, in which one word tells the label; sorted by label, as some sets are."""
    words = ["awful", "great"]
    made = [{"text": f"{words[i % 2]} {t} {i}", "label": i % 2} for i, t in enumerate(texts(n, seed, longest=8))]
    return sorted(made, key=lambda row: row["label"])


def write_set(folder, **parts):
    folder.mkdir(parents=True)
    for name, found in parts.items():
        columns = {column: [row[column] for row in found] for column in found[0]}
        columns["label"] = pa.array(columns["label"], pa.int32())
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    (folder / "labels.json").write_text(json.dumps(["negative", "positive"]))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Synthetic sets under real names, and a tiny base."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("trec6", "rte"):
        test = "validation" if name == "rte" else "test"
        pair = {"text_pair": "it was"} if name == "rte" else {}
        made, tested = rows(260), rows(60, seed=1)
        for row in tested:
            row["text"] += " indeed"
        write_set(folder / "data" / name, train=[r | pair for r in made], **{test: [r | pair for r in tested]})
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.15}
    write_bundle(folder / "base", num_hidden_layers=DEPTHS, **still)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small parts of those sets."""
    for name in ("trec6", "rte"):
        monkeypatch.setitem(SETS, name, replace(SETS[name], **SMALL))


@pytest.fixture
def here(sources, tmp_path):
    return Places(sources / "data", tmp_path / "work", tmp_path / "results")


def call(script, places, *words):
    """Run a script's main as its command would."""
    folders = ["--data-dir", places.data, "--work", places.work, "--results", places.results]
    runpy.run_path(str(HERE / f"{script}.py"))["main"]([*map(str, folders), *map(str, words)])


def base(places):
    return ["--base", places.data.parent / "base", "--threads", 1, "--bf16", "no"]


def record_name(places, name):
    (found,) = (known for known in places.records.names("runs/") if known.endswith(f"/{name}"))
    return found


# ---- what is written


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(HERE)))
def test_every_file_has_a_docstring_and_every_command_its_line_in_the_readme(file):
    assert ast.get_docstring(ast.parse(file.read_text()))
    if file.parent == HERE:
        assert f"`python experiments/{file.name}" in (HERE / "README.md").read_text()


def test_published_baselines_are_of_known_sets():
    from lab.linear import published

    assert set(published()) == set(SETS)


# ---- splits


def test_parts_are_disjoint_whatever_case_and_spaces(here):
    data = DataSet("made", "sentence", "test", 20, 30, 32, most_test=25)
    train, test = rows(200), rows(40, seed=1)
    train += [{"text": f"  {row['text'].upper()} ", "label": row["label"]} for row in train[:150] + test[:10]]
    parts = cut(data, train, test)
    keys = {part: {key(row) for row in found} for part, found in parts.items()}
    assert sum(map(len, keys.values())) == len(set().union(*keys.values()))
    assert [len(parts[part]) for part in PARTS[1:]] == [20, 30, 25]
    left = {key(row) for row in train} - {key(row) for row in test} - keys["stopping"] - keys["calibration"]
    assert keys["train"] == left
    assert cut(data, train, test) == parts
    labels = [row["label"] for row in parts["train"]]
    assert labels != sorted(labels)


def test_a_text_in_two_parts_is_refused():
    parts = {part: [{"text": part}] for part in PARTS}
    check("made", parts)
    with pytest.raises(DataError, match="1 texts are in train and in calibration"):
        check("made", parts | {"train": [{"text": "train"}, {"text": " Calibration"}]})
    with pytest.raises(DataError, match="too few to hold out 50"):
        cut(DataSet("made", "sentence", "test", 20, 30, 32), rows(60), rows(5, seed=1))


def test_no_phrase_of_a_held_out_sentence_alone_is_trained_on():
    sentences = [f"w{i} of sentence n{i} is quite unlike the others" for i in range(120)]
    phrases = [p for s in sentences for p in (" ".join(s.split()[:3]), "quite unlike", " ".join(s.split()[3:]))]
    train = [{"text": t + " ", "label": i % 2} for i, t in enumerate(sentences + phrases)]
    parts = cut(DataSet("made", "sentence", "test", 20, 30, 32, by_sentence=True), train, rows(10))
    held = [key(row) for part in ("stopping", "calibration") for row in parts[part]]
    assert len(held) == 50
    assert set(held) < set(sentences)
    others = [s for s in sentences if s not in held]
    kept = {key(row) for row in parts["train"]}
    for phrase in {key(row) for row in train}:  # a plain reference
        among_held, among_others = (any(f" {phrase} " in f" {s} " for s in some) for some in (held, others))
        assert (phrase in kept) == (among_others or not among_held)
    assert "quite unlike" in kept


def test_parts_are_cut_once_and_again_for_other_data(here):
    first = prepare(SETS["rte"], here)
    assert [e.text_pair for e in read_examples(str(first.file("test")))] == ["it was"] * 60
    stamp = first.file("train").stat().st_mtime_ns
    assert prepare(SETS["rte"], here) == first
    assert first.file("train").stat().st_mtime_ns == stamp
    (first.folder / "manifest.json").write_text("{ half")
    assert prepare(SETS["rte"], here).manifest == first.manifest
    fewer = prepare(replace(SETS["rte"], most_train=50), here)
    assert fewer.rows("train") == 50
    assert fewer.hashes["calibration"] == first.hashes["calibration"]
    with pytest.raises(DataError, match="no such data set"):
        prepare(SETS["mrpc"], here)


# ---- ways to train


@pytest.mark.parametrize("folder", [None, GENERAL_BASE])
def test_tables_mark_the_sets_whose_labels_the_base_has_seen(folder):
    card = (GENERAL_BASE / "README.md").read_text("utf-8")
    tasks = set(re.findall(r"(\w+)/train\.parquet", card))
    assert tasks == {"sst2", "imdb"}
    assert tasks | {"mr"} == set(Base.open(folder).saw)  # MR's sentences are SST-2's


def test_ways_to_train():
    assert parse_variant("plain-L", 12).name == "plain-12"
    assert parse_variant("learned+distilled+mean", 12).options.distillation == 0.5
    assert shallower(12, (1.5, 2, 3, 4, 6, 10), 0.05) == [1, 2, 3, 4, 6, 8, 12]
    assert parse_variant("last-half", 4).settings["last_share"] == 1 / 2
    assert "last_share" not in parse_variant("equal", 4).settings  # so that older runs keep their settings
    for wrong in ("plain-13", "equals", "equal+more", "centred+distilled"):
        with pytest.raises(InputError):
            parse_variant(wrong, 12)


def test_objectives_beside_the_librarys():
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 5, 3), torch.randint(0, 3, (5,))
    task, options = TASK, parse_variant("equal", 4).options
    last = torch.nn.functional.cross_entropy(logits[-1], labels)
    assert torch.allclose(LastOnly(4, task, options)(logits, labels), last)
    every = sum(torch.nn.functional.cross_entropy(depth, labels) for depth in logits)
    turns = Alternating(4, task, options)
    assert torch.allclose(torch.stack([turns(logits, labels) for _ in range(4)]), torch.stack([4 * last, every] * 2))
    sure = logits.clone()
    sure[1, 0] = torch.tensor([50.0, 0, 0])
    weights = centred_weights(sure)
    assert torch.allclose(weights.mean(0), torch.ones(5))
    assert weights[:, 0].argmax() == 1
    assert (weights[:, 1:].argmax(0) == 3).all()


def test_gradients_kept_apart_reach_the_layer_at_their_own_depth_only():
    def gradients(apart, only=None):
        network = tiny_model(num_hidden_layers=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        if apart:
            keep_gradients_apart(network)
        probabilities = network(torch.arange(4, 12).view(2, 4)).exit_logits
        (probabilities if only is None else probabilities[only]).square().sum().backward()
        encoder = network.albert.encoder
        layer = encoder.albert_layer_groups[0].albert_layers[0]
        return probabilities.detach(), layer.ffn.weight.grad, encoder.embedding_hidden_mapping_in.weight.grad

    probabilities, layer, mapping = gradients(apart=True)
    plain, whole, _ = gradients(apart=False)
    assert torch.equal(probabilities, plain)
    assert not torch.allclose(layer, whole)
    assert torch.allclose(gradients(apart=True, only=0)[1], gradients(apart=False, only=0)[1])
    assert not gradients(apart=True, only=2)[2].any()  # the embedding receives a gradient from the first depth only
    assert torch.allclose(mapping, gradients(apart=False, only=0)[2])


# ---- runs


def test_a_run_is_made_once_killed_and_made_again(here, monkeypatch, capsys):
    words = ["--set", "trec6", "--seed", 0, *base(here)]

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Outputs, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            call("run", here, *words)
    assert not here.records.names()
    call("run", here, *words)
    name = record_name(here, "trec6/equal-0")
    record = here.records.read(name)
    assert record["settings"]["set"] == "trec6"
    assert len(record["test"]["accuracy"]) == len(record["calibration"]["ece"]) == DEPTHS
    assert record["conditions"]["command"].startswith("python experiments/run.py --set trec6")
    assert str(here.data.parent) not in json.dumps(record)
    saved = load_outputs(next(here.work.rglob("test.npz")))
    assert (saved.probabilities.argmax(-1) == saved.labels[:, None]).mean() == pytest.approx(record["test"]["area"])
    folder = next(here.work.rglob("test.npz")).parent
    assert {f.name for f in folder.iterdir()} == {".claimed", "calibration.npz", "test.npz", "model"}
    assert json.loads((folder / "model" / "tokenizer_config.json").read_text())["model_max_length"] == 32

    stamp = here.records.file.stat().st_mtime_ns
    call("run", here, *words)
    assert "finished already" in capsys.readouterr().out
    assert here.records.file.stat().st_mtime_ns == stamp
    call("run", here, *words, "--again")
    assert here.records.read(name)["test"] == record["test"]
    call("run", here, *words, "--rate", 1e-5)  # other settings: another run
    assert here.records.read(name)["settings"]["rate"] == 1e-5


def test_records_are_kept_exactly_and_together(tmp_path):
    records = Records(tmp_path / "results")
    assert records.read("runs/a") is None
    first = {"pi": 3.141592653589793, "tiny": 5e-324, "text": "é – 中", "none": None, "list": [1, 2.5, {"x": True}]}
    records.write("runs/a", first)
    records.write("runs/b", {"n": 1})
    records.write("runs/b", {"n": 2})
    again = Records(tmp_path / "results")
    assert again.names() == ["runs/a", "runs/b"]
    assert again.names("exits/") == []
    assert json.dumps(again.read("runs/a")) == json.dumps(first)
    assert again.read("runs/b") == {"n": 2}
    assert {file.name for file in records.folder.iterdir()} == {"records.parquet", ".records.lock"}


def test_a_damaged_file_of_records_is_not_overwritten(tmp_path):
    records = Records(tmp_path)
    records.write("runs/a", {"n": 1})
    damaged = records.file.read_bytes()[:100]
    records.file.write_bytes(damaged)
    with pytest.raises(DataError, match=r"records.parquet is damaged; restore it"):
        records.write("runs/b", {"n": 2})
    assert records.file.read_bytes() == damaged


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Records(tmp_path).write(f"runs/{n}", {"n": n}), range(40)))
    assert len(Records(tmp_path).names("runs/")) == 40


def test_two_processes_do_not_make_the_same_run(tmp_path):
    # A lock belongs to an opened file, so a second opening in this process is as good as another process.
    with claim_folder(tmp_path), pytest.raises(InputError, match="another process is at work"), claim_folder(tmp_path):
        pass
    with claim_folder(tmp_path):
        pass


# ---- studies


@pytest.mark.slow
def test_training_study(here, capsys):
    weighted = ["plain-L", "equal", "learned-no-floor", "equal+mean", "equal+distilled", "last-half"]
    ways = [*weighted, "alternating", "centred", "own"]
    words = ["--sets", "trec6", "--variants", *ways, "--seeds", 0, *base(here)]
    call("training_study", here, *words, "--plan")
    assert "0 of 9 runs are there" in capsys.readouterr().out
    call("training_study", here, *words, "--minutes", 0)
    assert "1 of 9 runs are there" in capsys.readouterr().out
    call("training_study", here, *words)
    study = here.records.read("training_study")
    found = study["sets"]["trec6"]["ways"]
    assert set(found) == {f"plain-{DEPTHS}", *ways[1:]}
    assert found[f"plain-{DEPTHS}"]["area"] is None
    assert found["equal"]["gain"] == [0.0]
    assert found["equal"]["time_over_plain"] > 0
    early = found["alternating"]["early_gain"]["2"]
    assert len(early) == 1
    assert study["over_sets"]["alternating"]["early_gain"]["2"] == early[0]
    assert set(study["over_sets"]["equal"]["early_gain"].values()) == {0.0}
    assert study["over_sets"]["equal"]["chosen_by"] == 0
    assert set(found["own"]["halves_gain"]) == set(found["own"]["early_gain"])

    for npz in here.work.rglob("*.npz"):  # a fresh clone has none
        npz.unlink()
    call("training_study", here, *words, "--tables")
    assert here.records.read("training_study") == study
    lines = (here.results / "training_study.csv").read_text().splitlines()
    assert len(lines) == 1 + 9 * DEPTHS
    assert "all sets" in capsys.readouterr().out


STUDY = ["--seeds", 0, 1, "--alone-seeds", 0, "--families", *FAMILIES]


@pytest.fixture
def studied(here, request):
    """An exit study of these sets and of two seeds."""
    words = ["--sets", *request.param, *STUDY, *base(here)]
    call("exit_study", here, *words)
    return here, words


@pytest.mark.slow
@pytest.mark.parametrize("studied", [("trec6", "rte")], indirect=True)
def test_exit_study_to_results(studied, capsys):
    here, words = studied
    study = here.records.read("exit_study")
    trec = study["sets"]["trec6"]
    assert trec["seeds"] == [0, 1]
    assert trec["n"] == 60
    cells = trec["cells"]["3"]
    assert set(FAMILIES) | {"window, tempered", "all families", "trained alone"} <= set(cells)
    assert sum(cells["entropy"]["test"]["seeds"]) == 2
    assert cells["window"]["mean_depth"]["mean"] < DEPTHS
    assert [p["promised"] for p in trec["promises"][:3]] == [0.01, 0.02, 0.05]
    assert trec["promises"][0]["needed"] == 299
    assert len(trec["windows"]) == 2 * 3 * (DEPTHS - 1)
    call("exit_study", here, *words, "--plan")
    assert "10 of 10 runs are there" in capsys.readouterr().out

    for npz in here.work.rglob("*.npz"):  # a fresh clone has none, and needs none
        npz.unlink()
    call("exit_study", here, *words, "--tables")
    assert here.records.read("exit_study") == study

    small = ["--texts", 20, "--rounds", 2, *base(here)]
    call("wall_clock", here, "--sets", "trec6", *small)
    timed = here.records.read(here.records.names("wall_clock/")[0])
    assert timed["batch"]["full"]["speedup"] == 1
    assert timed["batch"]["goal 3x"]["layer_speedup"] > 1

    output = here.results.parent / "RESULTS.md"
    call("results", here, "--output", output)
    written = {page: page.read_text() for page in (output, *sorted(here.results.glob("*.md")))}
    assert len(written) == 5
    assert "*Not run yet*: `python experiments/training_study.py`" in written[here.results / "training.md"]
    assert "| rte | 1.7x layer speed-up, at most 0.5 points lost |" in written[output]
    assert "2.8x wall-clock" in written[output]
    for picture in ("window_trec6.svg", "curves_rte.svg"):
        assert f"(figures/{picture})" in written[here.results / "exits.md"]
        assert (here.results / "figures" / picture).read_text().startswith("<?xml")
    call("results", here, "--output", output)
    assert all(page.read_text() == text for page, text in written.items())


@pytest.mark.parametrize("studied", [("trec6",)], indirect=True)
def test_no_test_text_influences_the_choices(studied):
    here, words = studied
    before = chosen_by(here)
    for npz in here.work.rglob("test.npz"):  # other answers, other labels, another number of texts
        outputs = load_outputs(npz)
        generator = np.random.default_rng(0)
        probabilities = generator.dirichlet(np.ones(2), (7, outputs.depths)).astype(np.float32)
        replace(outputs, probabilities=probabilities, labels=np.arange(7) % 2, tokens=np.arange(7)).save(npz)
        name = f"runs/{npz.parent.relative_to(here.work / 'runs')}"
        values = here.records.read(name)
        values["outputs"]["test"] = files_hash([npz])
        here.records.write(name, values)
    call("exit_study", here, *words, "--tables")
    study = here.records.read("exit_study")
    assert study["sets"]["trec6"]["n"] == 7
    assert chosen_by(here) == before


def chosen_by(places):
    """Every policy that the exit study names, by seed."""
    found = {}
    for name in places.records.names("exits/"):
        study = places.records.read(name)
        cells = {(s, n): c["policy"] for s, each in study["cells"].items() for n, c in each.items()}
        goals = {(s, n): c["policy"] for s, each in study["goals"].items() for n, c in each.items()}
        found[name] = cells, goals, [p.get("policy") for p in study["promises"]]
    assert found
    return found


def test_the_pages_in_the_repository_are_those_of_the_records(tmp_path, monkeypatch):
    monkeypatch.undo()  # the sets in their real sizes
    whole, drawn = figures.save, []

    def save_first(figure, path):  # pages are compared here, not pictures
        drawn.append(path)
        if len(drawn) == 1:
            whole(figure, path)

    monkeypatch.setattr(figures, "save", save_first)
    results = HERE / "results"
    shutil.copytree(results, tmp_path / "results")
    places = Places(tmp_path / "none", tmp_path / "none", tmp_path / "results")
    call("results", places, "--output", tmp_path / "RESULTS.md")
    assert (tmp_path / "RESULTS.md").read_text() == (HERE / "RESULTS.md").read_text()
    pages = sorted(page.name for page in results.glob("*.md"))
    assert pages == ["data.md", "exits.md", "training.md", "wall_clock.md"]
    for page in pages:
        assert (tmp_path / "results" / page).read_text() == (results / page).read_text()
        opening = (results / page).read_text().split("\n\n")[2]
        assert len([line for line in opening.splitlines() if line.startswith("- ")]) == 3


def test_results_without_results_say_so(tmp_path):
    places = Places(tmp_path / "none", tmp_path / "none", tmp_path / "none")
    call("results", places, "--output", tmp_path / "RESULTS.md")
    written = "".join(page.read_text() for page in tmp_path.rglob("*.md"))
    for script in ("data", "training_study", "exit_study", "wall_clock"):
        assert f"*Not run yet*: `python experiments/{script}.py`" in written


# ---- statistics


def made_up(n, depths=6, classes=3, seed=0):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), (n, depths)).astype(np.float32)
    names = tuple("abcdefgh"[:classes])
    return Outputs(
        probabilities, generator.integers(0, classes, n), np.ones(n, int), names, "single_label_classification"
    )


def test_pooled_tests_are_those_of_the_concatenated_texts():
    generator = np.random.default_rng(0)
    ours, theirs = (generator.random((3, 50)) < p for p in (0.8, 0.6))
    found = pooling.pool_tests([report.count_wins(a, b) for a, b in zip(ours, theirs)])
    assert found["p"] == pytest.approx(mcnemar(ours.ravel(), theirs.ravel()), abs=1e-6)
    assert sum(found["seeds"]) == 3


def test_a_win_at_a_higher_cost_is_no_win():
    test = {"better": 0, "worse": 20, "p": 1e-6, "seeds": [0, 0, 1]}
    cells = {selection.OURS: {"mean_depth": {"mean": 2.0}}, "gap": {"mean_depth": {"mean": 2.1}, "test": test}}
    assert pooling.verdict(cells, "gap") == -1
    cells["gap"]["mean_depth"]["mean"] = 2.5
    assert pooling.verdict(cells, "gap") == 0
    assert pooling.verdict(cells, selection.OURS) == 0


def test_holm_by_hand_and_goals_by_it():
    p = {"gap": 0.04, "entropy": 0.01, "patience": 0.02, "confidence": 0.9}
    about = {"mean_depth": {"mean": 2.0}}
    cells = {
        name: about | {"test": {"better": 0, "worse": 9, "p": each, "seeds": [0, 0, 1]}} for name, each in p.items()
    }
    found = pooling.apply_holm({"3": {selection.OURS: about, **cells}})
    holm = {name: found["3"][name]["test"]["holm"] for name in p}
    assert holm == {"entropy": 0.04, "patience": 0.06, "gap": 0.08, "confidence": 0.9}
    met = goals.never_behind({"cells": found})
    assert met["met"] is False
    assert "behind gap at 3x (p = 0.04, Holm 0.08)" in met["found"]
    del cells["entropy"]
    alone = goals.never_behind({"cells": pooling.apply_holm({"3": {selection.OURS: about, **cells}})})
    assert alone["met"] is True  # 0.02 of three tests is 0.06
    assert "of 3 tests behind gap" in alone["found"]


def test_a_task_that_was_not_learned_meets_no_goal_of_speed():
    fast = {"3": {selection.OURS: {"lost": {"mean": 0.001}, "speedup": {"mean": 3.2}}}}
    record = {"goals": fast, "full": {"mean": 0.70}}
    assert goals.fast_and_close(record, "3", 0.5, 0.65)["met"] is True
    assert goals.fast_and_close(record, "3", 0.5, None)["met"] is True
    unlearned = goals.fast_and_close(record, "3", 0.5, 0.71)
    assert unlearned["met"] is None
    assert "a linear SVM or the largest class is better" in unlearned["found"]
    assert goals.learned(record, 0.71)["met"] is False
    record["full"]["mean"] = 0.72
    fast["3"][selection.OURS]["speedup"]["mean"] = 2.9
    assert goals.fast_and_close(record, "3", 0.5, 0.71)["met"] is False


def test_area_is_the_mean_over_costs_of_what_was_chosen_for_them():
    trials = report.Trials(made_up(200))
    front = [(1.0, policy("depth(1)")), (2.5, policy("depth(3)")), (4.0, policy("full"))]
    costs = np.linspace(1, 6, 5001)[:-1]
    slow = np.mean([trials.right[:, 0 if c < 2.5 else 2 if c < 4 else 5].mean() for c in costs])
    assert report.area(trials, front) == pytest.approx(slow, abs=1e-3)


def test_choices_hold_for_the_calibration_part():
    outputs = made_up(800, classes=2)
    chosen = selection.choose(outputs, FAMILIES)
    trials = report.Trials(outputs)
    for speedup, families in chosen.near.items():
        if speedup <= 4:
            assert trials.depth(families["entropy"]).mean() == pytest.approx(6 / speedup, rel=0.06)
    for name, best in chosen.as_good.items():
        assert trials.correct(best).mean() >= trials.right[:, -1].mean(), name
    assert all(promise.n == 480 for promise in chosen.promises)
    window = selection.build_candidates(6, ["window"])["window"]
    assert len({w.dials["entropy"] for w in window if "entropy" in getattr(w, "dials", {})}) >= 300


def test_a_goal_compares_policies_of_about_its_cost():
    outputs = made_up(800, classes=2)
    chosen, trials = selection.choose(outputs, FAMILIES), report.Trials(outputs)
    for speedup, families in chosen.goals.items():
        if speedup < 5:
            fast = 6 / trials.depth(families[selection.OURS]).mean()
            assert speedup * 1.02 <= fast <= speedup * 1.14


# ---- a set that is a folder


@pytest.mark.parametrize("layout", ["test", "validation", "fold 0"])
def test_any_folder_is_a_set(sources, here, layout, monkeypatch, capsys):
    from lab import data_folder, selection

    folder = here.work.parent / "reviews of 2020"
    made, tested = rows(300), rows(60, seed=1)
    for row in tested:
        row["text"] += " indeed"
    write_set(folder, train=made, **({} if layout == "fold 0" else {layout: tested}))
    if layout == "fold 0":
        (folder / "folds.json").write_text(json.dumps({"folds": [list(range(0, 300, 5)), []]}))
    monkeypatch.setattr(data_folder, "STEPS", 10)
    monkeypatch.setattr(data_folder, "FEWEST_EPOCHS", 1)
    small = dict(selection.build_families(DEPTHS, FAMILIES))
    monkeypatch.setattr(selection, "build_families", lambda depths, names: dict(small))
    call("run", here, "--data", folder, *base(here))
    (file,) = (here.work / "tables").glob("*.md")
    table = file.read_text()
    assert table in capsys.readouterr().out
    for words in ("# reviews of 2020", f"the part `{layout}`", "linear SVM", "largest class", "2x", "3x", "5x", "10x"):
        assert words in table
    assert "| gap \\| window |" in table
    assert "texts: train" in table
    call("run", here, "--data", folder, *base(here))
    assert "finished already" in capsys.readouterr().out


def test_a_folder_that_is_no_set_is_refused_in_one_line(tmp_path):
    from lab.data_folder import describe_folder

    with pytest.raises(DataError, match=r"train.parquet: missing"):
        describe_folder(tmp_path)
    folder = tmp_path / "set"
    write_set(folder, train=rows(40))
    with pytest.raises(DataError, match="no test; expected"):
        describe_folder(folder)
    (folder / "labels.json").write_text("[]")
    with pytest.raises(DataError, match="expected a list of two or more"):
        describe_folder(folder)
    (folder / "labels.json").write_text('["one", "two"]')
    pq.write_table(pa.table({"text": ["a"], "label": [0.5]}), folder / "train.parquet")
    with pytest.raises(DataError, match="expected whole numbers"):
        describe_folder(folder)
    pq.write_table(pa.table({"text": ["a"], "label": [2]}), folder / "train.parquet")
    with pytest.raises(DataError, match="labels from 0 to 1"):
        describe_folder(folder)
    pq.write_table(pa.table({"tokens": [["a"]], "tags": [["O"]]}), folder / "train.parquet")
    with pytest.raises(DataError, match="expected a column 'text'"):
        describe_folder(folder)


def test_sizes_of_a_folder_follow_its_texts(tmp_path):
    from lab.data_folder import describe_folder

    write_set(tmp_path / "few", train=rows(600), test=rows(20, seed=2))
    few = describe_folder(tmp_path / "few")
    assert (few.kind, few.stopping, few.calibration, few.epochs, few.most_train) == ("sentence", 50, 100, 8, None)
    long = [{"text": "word " * 300 + str(i), "label": i % 2} for i in range(9000)]
    write_set(tmp_path / "long", train=long, test=long[:10])
    big = describe_folder(tmp_path / "long")
    assert (big.kind, big.max_length, big.epochs) == ("document", 256, 2)
    assert big.most_train == 1_500_000 // 2 // 256
