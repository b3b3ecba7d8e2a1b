"""Bulk prediction on a cluster: the same answers as one process, in order, whatever happens on the way."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import elbert.ray
from elbert.classifier import Classifier
from elbert.cli.main import main
from elbert.errors import InputError
from elbert.ray import bulk
from elbert.ray import dataset_files as files
from elbert.ray.bulk import results
from tiny import texts, write_bundle

POLICY = "entropy(0.4)"
BAD = (17, 18, 120)  # lines


@pytest.fixture
def command(capsys, bundle_folder):
    def run(*arguments):
        capsys.readouterr()
        status = main(["predict", "--model", str(bundle_folder), "--policy", POLICY, *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def rows():
    """Texts, pairs and rows that cannot be used."""
    rows = [{"text": text} if i % 3 else {"text": text, "text_pair": "the film"} for i, text in enumerate(texts(150))]
    return [{"text": None} if line in BAD else row for line, row in enumerate(rows, 1)]


def near(value, off=1e-4):
    """The same, where numbers may be off by a little."""
    if isinstance(value, dict):
        return {key: near(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [near(inner) for inner in value]
    return pytest.approx(value, abs=off) if isinstance(value, float) else value


def assert_same(found, expected):
    """Two files of answers, row by row."""
    found, expected = ([json.loads(line) for line in lines.splitlines()] for lines in (found, expected))
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert list(ours) == list(theirs)
        assert ours == near(theirs) | {"score": near(theirs["score"], 1e-5)}


@pytest.mark.parametrize("data", ["good film", ["good film"], {"text": ["good film"]}, pa.table({"text": ["a"]}), None])
def test_what_is_no_dataset_is_refused_with_the_accepted_form(data):
    with pytest.raises(InputError, match=r"expected a ray\.data\.Dataset, got .*ray\.data\.from_items") as caught:
        elbert.ray.predict(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [pytest.param("jsonl", marks=pytest.mark.slow), "parquet"])
def test_a_file_is_answered_as_one_process_answers_it(cluster, command, rows, tmp_path, monkeypatch, ending):
    monkeypatch.setattr(files, "PART_ROWS", 40)  # a task for every second row group
    file = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows, pa.schema({"text": pa.string(), "text_pair": pa.string()})), file, 25)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = ("--input", file, "--skip-bad", "--scores", "--trace")
    expected = command(*more)
    status, out, err = command(*more, "--ray", "--output", tmp_path / "out.jsonl")
    *notes, written = err.splitlines()
    assert (status, out, notes) == (0, "", expected[2].splitlines())
    assert f"{tmp_path / 'out.jsonl'}: 147 " in written
    assert [f":{line}:" in err for line in BAD] == [True] * 3
    assert "3 bad rows skipped, 147 texts classified" in err
    assert_same((tmp_path / "out.jsonl").read_text(), expected[1])


@pytest.mark.slow
def test_a_bad_row_stops_it_and_nothing_is_half_written(cluster, command, rows, tmp_path):
    file, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out.write_text("before")
    assert command("--input", file, "--ray", "--output", out) == command("--input", file, "--output", out)
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


@pytest.mark.slow
def test_an_actor_that_dies_loses_no_row_and_doubles_none(cluster, tmp_path, monkeypatch):
    import deadly

    cluster.cloudpickle.register_pickle_by_value(deadly)  # workers do not find the tests
    monkeypatch.setattr(bulk, "Actor", deadly.DeadlyActor)
    folder = write_bundle(tmp_path / "model", seed=2)
    sentences = texts(600, seed=5)
    dataset = cluster.data.from_items([{"n": n, "text": text} for n, text in enumerate(sentences)])
    answered = elbert.ray.predict(dataset, folder, POLICY, actors=1, max_rows=8, rows_per_block=100)
    found = list(answered.iter_rows())
    died, lived = ((tmp_path / name).read_text() for name in ("died", "lived"))
    assert died != lived, "one process was killed, and another went on"
    assert [row["n"] for row in found] == list(range(600))
    assert [row["text"] for row in found] == sentences
    for row, expected in zip(found, Classifier.load(folder).predict(sentences, POLICY), strict=True):
        assert (row["label"], row["depth"], row["reason"]) == (expected.label, expected.depth, expected.reason)
        assert row["score"] == pytest.approx(expected.score, abs=1e-5)


def test_a_dataset_with_the_bundled_model(cluster):
    sentences = ["A charming and often affecting journey.", "It is dull and far too long.", "good film " * 300]
    dataset = cluster.data.from_items([{"review": text, "label": i} for i, text in enumerate(sentences)])
    with pytest.raises(elbert.InputError, match="a column named label exists already; set a prefix"):
        elbert.ray.predict(dataset, text="review")
    answered = elbert.ray.predict(dataset, text="review", prefix="predicted_", scores=True, actors=1).take_all()
    assert [row["label"] for row in answered] == [0, 1, 2]
    for row, expected in zip(answered, Classifier.load().predict(sentences), strict=True):
        assert row["predicted_label"] == expected.label
        assert (row["predicted_depth"], row["predicted_depths"]) == (expected.depth, expected.depths)
        assert row["predicted_reason"] == expected.reason
        assert row["predicted_score"] == pytest.approx(expected.score, abs=1e-5)
        assert row["predicted_scores"] == pytest.approx(dict(expected.scores), abs=1e-5)


@pytest.mark.slow
def test_what_is_wrong_on_a_worker_is_one_line(cluster, tmp_path):
    folder = write_bundle(tmp_path / "model", seed=3)
    (tmp_path / "texts.txt").write_text("a film\n")
    answered = elbert.ray.predict(files.open_dataset(str(tmp_path / "texts.txt")), folder, actors=1, keep_bad=True)
    (folder / "model.safetensors").unlink()
    with pytest.raises(elbert.ElbertError, match=r"model\.safetensors.* \(on ") as raised:
        list(results(answered, "texts.txt"))
    assert "\n" not in str(raised.value)
