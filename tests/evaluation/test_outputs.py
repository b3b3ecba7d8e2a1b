"""Saved outputs: the probabilities of every depth, written and read again."""

import io
import json

import numpy as np
import pytest
from evaluation_outputs import random_outputs

import elbert
from elbert.classifier import Classifier
from elbert.data import Example
from elbert.errors import BadRow, DataError, InputError
from elbert.evaluation import collect, evaluate, load_outputs, measure_throughput, parse_target
from elbert.exits import policy
from elbert.tasks import TASKS
from tiny import texts, write_bundle

SPECS = ["full", "depth(2)", "entropy(0.4)", "patience(1)", "window(entropy=0.2, size=3, rule=trend) | depth(5)"]
PROBLEMS = ["single_label_classification", "multi_label_classification", "regression"]


def same(a, b):
    arrays = all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("probabilities", "labels", "tokens"))
    return arrays and (a.label_names, a.problem) == (b.label_names, b.problem)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_saved_and_loaded(tmp_path, problem):
    outputs = random_outputs(1, classes=1 if problem == "regression" else 3, problem=problem)
    outputs.save(tmp_path / "outputs.npz")
    assert same(elbert.load_outputs(tmp_path / "outputs.npz"), outputs)
    assert same(load_outputs(str(tmp_path / "outputs.npz")), outputs)
    assert [file.name for file in tmp_path.iterdir()] == ["outputs.npz"]


KINDS = {
    "two labels": {},
    "multi-label": {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"},
    "groups": {"num_hidden_groups": 2, "exit_heads": 2},
}


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_a_replay_leaves_where_live_texts_leave(tmp_path, changes):
    classifier = Classifier.load(write_bundle(tmp_path, seed=3, **changes), max_rows=16)
    sentences = [*texts(60, seed=9), "", ("the film", "is good")]
    multi = classifier.bundle.config.multi_label
    labels = [[0.0, 1.0, 0.0]] * len(sentences) if multi else [0] * len(sentences)
    outputs = collect(classifier, sentences, labels)
    assert outputs.probabilities.shape == (len(sentences), 6, len(classifier.labels))
    assert outputs.tokens.tolist() == [len(t.ids) for t in classifier.tokeniser.encode(sentences)]
    early = 0
    for spec in SPECS:
        depths = elbert.replay(outputs.probabilities, spec, multi_label=multi)
        live = classifier.predict(sentences, spec)
        assert depths.tolist() == [p.depth for p in live]
        for row, depth, p in zip(outputs.probabilities, depths, live, strict=True):
            assert row[depth - 1].tolist() == pytest.approx(list(p.scores.values()), abs=1e-5)
        early += int((depths < 6).sum())
    assert early > 60


def list_parts(outputs, **changes):
    about = {"label_names": outputs.label_names, "problem": outputs.problem}
    about |= {name: changes.pop(name) for name in list(changes) if name in about}
    parts = {n: getattr(outputs, n) for n in ("probabilities", "labels", "tokens")}
    return parts | {"about": np.array(json.dumps(about))} | changes


CHANGES = {
    "two axes": {"probabilities": np.zeros((200, 6))},
    "no depths": {"probabilities": np.zeros((200, 0, 3))},
    "fewer labels": {"labels": np.zeros(199, int)},
    "fewer tokens": {"tokens": np.zeros(199, int)},
    "more names": {"label_names": ["a", "b", "c", "d"]},
    "unknown problem": {"problem": "ranking"},
    "a label beyond": {"labels": np.full(200, 3)},
    "a label below": {"labels": np.full(200, -1)},
    "labels of another problem": {"labels": np.zeros((200, 3), int)},
    "labels are texts": {"labels": np.full(200, "a")},
    "multi-label by index": {"problem": "multi_label_classification"},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_parts_that_do_not_fit_are_refused(tmp_path, outputs, changes):
    file = tmp_path / "outputs.npz"
    np.savez(file, **list_parts(outputs, **changes))
    with pytest.raises(DataError, match=rf"{file}: its parts do not fit each other; write it again"):
        load_outputs(file)


def npz(**parts):
    out = io.BytesIO()
    np.savez(out, **parts)
    return out.getvalue()


def damaged(outputs):
    whole = npz(**list_parts(outputs))
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    return {
        "empty": b"",
        "text": b"probabilities",
        "cut off": whole[: len(whole) // 2],
        "a bit flipped": bytes(flipped),
        "no about": npz(probabilities=outputs.probabilities, labels=outputs.labels, tokens=outputs.tokens),
        "about is no json": npz(**list_parts(outputs, about=np.array("{"))),
        "probabilities are texts": npz(**list_parts(outputs, probabilities=np.full((200, 6, 3), "x"))),
        "one array": whole[:0] + _npy(outputs.probabilities),
    }


def _npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize("how", damaged(random_outputs()))
def test_a_damaged_file_is_refused(tmp_path, outputs, how):
    file = tmp_path / "outputs.npz"
    file.write_bytes(damaged(outputs)[how])
    with pytest.raises(DataError, match=rf"{file}: not a file of saved outputs; elbert evaluate --outputs"):
        load_outputs(file)


class Trap:
    """What an attacker would put into a file: unpickling it runs code."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


@pytest.mark.parametrize("where", ["labels", "about", "probabilities"])
def test_a_pickle_inside_is_refused_and_never_run(tmp_path, outputs, where):
    file = tmp_path / "outputs.npz"
    trap = np.empty(200, object)
    trap[:] = [Trap()] * 200
    np.savez(file, **list_parts(outputs, **{where: trap}))
    with pytest.raises(DataError, match="not a file of saved outputs"):
        load_outputs(file)
    assert not Trap.sprung


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="no such file; elbert evaluate --outputs FILE writes one"):
        load_outputs(tmp_path / "nowhere.npz")
    with pytest.raises(DataError, match="not a file of saved outputs"):
        load_outputs(tmp_path)


def test_nothing_can_be_written_into_no_folder(tmp_path, outputs):
    with pytest.raises(InputError, match="cannot be written"):
        outputs.save(tmp_path / "no" / "outputs.npz")


NAMES = ("negative", "positive")


@pytest.mark.parametrize(
    ("label", "problem", "expected"),
    [
        ("positive", PROBLEMS[0], 1),
        (0, PROBLEMS[0], 0),
        ("1", PROBLEMS[0], 1),
        ("positive;negative", PROBLEMS[1], [1.0, 1.0]),
        ([1], PROBLEMS[1], [0.0, 1.0]),
        ([], PROBLEMS[1], [0.0, 0.0]),
        ("2.5", PROBLEMS[2], 2.5),
        (3, PROBLEMS[2], 3.0),
    ],
)
def test_targets(label, problem, expected):
    assert parse_target(Example("x", None, label, 1, "here"), NAMES, TASKS[problem]) == expected


@pytest.mark.parametrize(
    ("label", "problem"),
    [(None, p) for p in PROBLEMS] + [("fine", PROBLEMS[0]), (2, PROBLEMS[0]), ("x", PROBLEMS[1]), ("x", PROBLEMS[2])],
)
def test_a_bad_label_is_named_by_file_and_line(label, problem):
    with pytest.raises(BadRow, match="here:7: ") as caught:
        parse_target(Example("x", None, label, 7, "here"), NAMES, TASKS[problem])
    assert (caught.value.source, caught.value.line) == ("here", 7)


def test_content_of_an_example():
    assert Example("a", None, 0, 1).content() == "a"
    assert Example("a", "", 0, 1).content() == ("a", "")


def test_timing_is_measured_against_full_depth(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    found = measure_throughput(classifier, texts(120), {"one": policy("depth(1)"), "all": policy("full")}, rounds=3)
    for timing in found.values():
        assert (timing.texts, timing.rounds) == (120, 3)
        assert timing.texts_per_second > 0
        assert timing.speedup > 0
    assert found["one"].texts_per_second / found["all"].texts_per_second == pytest.approx(
        found["one"].speedup / found["all"].speedup
    )


def test_single_texts_are_timed_one_by_one(bundle_folder, monkeypatch):
    from elbert.evaluation import cost as timing

    monkeypatch.setattr(timing, "SINGLES", 10)
    called = []
    classifier = Classifier.load(bundle_folder)
    stream = classifier.stream  # of predict, too

    def count(rows, way, **options):
        called.append((len(rows), str(way)))
        return stream(rows, way, **options)

    monkeypatch.setattr(classifier, "stream", count)
    found = timing.measure_latencies(classifier, texts(50), {"one": policy("depth(1)"), "all": policy("full")}, 2)
    assert called == [(1, "full")] * 10 + [(1, "full"), (1, "depth(1)"), (1, "full")] * 10 * 2
    for each in found.values():
        assert each.texts == 10
        assert 0 < each.p50 <= each.p99
    assert found["one"].p50 * found["one"].speedup == pytest.approx(found["all"].p50 * found["all"].speedup)


def test_timing_takes_a_sample_of_many(bundle_folder, monkeypatch):
    from elbert.evaluation import cost as timing

    monkeypatch.setattr(timing, "SAMPLE", 10)
    (found,) = measure_throughput(Classifier.load(bundle_folder), texts(50), {"one": policy("depth(1)")}, 1).values()
    assert found.texts == 10


@pytest.mark.parametrize(
    ("problem", "score"),
    [
        ("single_label_classification", "accuracy"),
        ("multi_label_classification", "accuracy"),
        ("regression", "spearman"),
    ],
)
def test_notebooks_show_a_report_as_a_table_without_scripts(problem, score):
    name = "<script>alert(1)</script>"
    report = evaluate(random_outputs(problem=problem), {name: policy("full"), "b": policy("depth(3)")})
    assert report.score_name == score
    assert repr(report).startswith(f"<Report: 200 texts, {score} {report.by_depth[-1][score]:.4f} at full depth (6)")
    assert "\n" not in repr(report) and len(repr(report)) < 120
    html = report._repr_html_()
    assert html.startswith("<table>") and "<script" not in html and "&lt;script" in html
    assert html.count("<tr") == 1 + 2 + 6  # the head, the policies, the depths
    assert f"{report.by_depth[2][score]:.3f}" in html and "2.00x" in html
