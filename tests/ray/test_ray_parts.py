"""What bulk prediction is made of, without a cluster."""

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import elbert
from elbert.classifier import Classifier
from elbert.cli.commands.predict import parse_actors
from elbert.cli.main import main
from elbert.data import list_parts
from elbert.exits import policy
from elbert.ray import cluster as joining
from elbert.ray.actor import Actor, SharedEngine, Task
from elbert.ray.columns import to_columns, to_prediction
from elbert.ray.dataset_files import read_rows, to_tables
from taggers import ENCODERS, write_tagger
from tiny import texts

FULL = policy("full")


class CountingBackend:
    """A backend that waits for ``open``, and counts its calls."""

    def __init__(self, backend):
        self._backend = backend
        self.config, self.device = backend.config, backend.device
        self.open, self.calls, self.fails = threading.Event(), 0, None

    def embed(self, ids, type_ids, layout):
        self.open.wait(20)
        return self._backend.embed(ids, type_ids, layout)

    def step(self, hidden, layout, group):
        self.calls += 1
        if self.fails is not None:
            raise self.fails
        return self._backend.step(hidden, layout, group)

    def read(self, hidden, layout, head):
        return self._backend.read(hidden, layout, head)


@pytest.fixture
def counting(bundle_folder):
    reference = Classifier.load(bundle_folder)
    backend = CountingBackend(reference.backend)
    return Classifier(reference.bundle, reference.tokeniser, backend, reference.policy, max_rows=8, threads=1)


def both(shared, backend, *blocks):
    """Hand blocks in side by side, before the first layer call."""
    with ThreadPoolExecutor(len(blocks)) as threads:
        waiting = [threads.submit(shared.classify, some) for some in blocks]
        while shared._queue._blocks.qsize() + len({id(row.block) for row in shared._queue.owners.values()}) < len(
            blocks
        ):
            threading.Event().wait(0.001)
        backend.open.set()
        return [future.result(30) for future in waiting]


def test_rows_of_two_blocks_share_layer_calls(counting, bundle_folder):
    first, second = texts(12, seed=1), texts(12, seed=2)
    found = both(SharedEngine(counting, FULL), counting.backend, first, second)
    assert counting.backend.calls == 3 * 6, "24 rows, 8 to a call, 6 depths; one block alone takes 2 * 6 of its own"
    reference = Classifier.load(bundle_folder)
    for some, expected in zip(found, (reference.predict(first, FULL), reference.predict(second, FULL)), strict=True):
        assert [p.label for p in some] == [p.label for p in expected]
        assert [p.score for p in some] == pytest.approx([p.score for p in expected], abs=1e-5)


def test_a_text_that_fails_is_one_that_failed(counting):
    counting.backend.fails = RuntimeError("the layer fell over")
    [found] = both(SharedEngine(counting, FULL), counting.backend, ["a", "b"])
    assert [type(answer) for answer in found] == [RuntimeError] * 2


def test_a_broken_engine_leaves_no_caller_waiting(counting, monkeypatch):
    def broken(*_, **__):
        raise MemoryError("no more")

    monkeypatch.setattr(counting, "early_exit_loop", broken)
    shared = SharedEngine(counting, FULL)
    for _ in range(2):
        with pytest.raises(MemoryError):
            shared.classify(["a"])
    assert shared.classify([]) == []


def test_predictions_survive_the_way_through_columns(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    found = classifier.predict(texts(20, seed=4), "entropy(0.4)", trace=True)
    output = pa.table(to_columns([*found, None], classifier.labels, scores=True, trace=True)).to_pylist()
    assert [to_prediction(row) for row in output[:-1]] == found
    assert set(output[-1].values()) == {None}


@pytest.mark.parametrize("long", ["windows", "windows(vote, full)"])
def test_an_actor_reads_long_texts_in_windows(bundle_folder, long):
    reference = Classifier.load(bundle_folder, "patience(2)", threads=1)
    rows = ["a", None, *(" ".join(texts(6, seed, longest=60)) for seed in range(6)), "good"]
    task = Task(
        *(str(bundle_folder), "patience(2)", reference.bundle.weights_hash, {"threads": 1}),
        scores=True,
        keep_bad=True,
        long=long,
    )
    output = Actor(task)(pa.table({"text": rows})).to_pylist()
    assert set(task.names) <= set(output[0])
    expected = iter(reference.predict([row for row in rows if row is not None], long=long))
    for row, text in zip(output, rows, strict=True):
        if text is None:
            assert row["error"] and row["windows"] is None
            continue
        prediction = next(expected)
        assert (row["label"], row["windows"], row["windows_read"]) == (
            *(prediction.label, prediction.windows, prediction.windows_read),
        )
        assert list(row["scores"].values()) == pytest.approx(list(prediction.scores.values()), abs=1e-5)
        assert to_prediction(row).windows_read == prediction.windows_read


def test_an_actor_tags_tokens(tmp_path):
    folder = write_tagger(tmp_path / "tagger", ENCODERS[0])
    reference = Classifier.load(folder, "patience(2)", threads=1)
    rows = ["the film is good", "", "a movie " * 100]
    task = Task(
        *(str(folder), "patience(2)", reference.bundle.weights_hash, {"threads": 1}), scores=True, per_token=True
    )
    output = Actor(task)(pa.table({"text": rows})).to_pylist()
    found, expected = list(map(to_prediction, output)), reference.predict(rows)
    for one, other in zip(found, expected, strict=True):
        assert (one.depth, one.reason, one.truncated) == (other.depth, other.reason, other.truncated)
        assert [(e.label, e.start, e.end, e.word) for e in one.entities] == [
            (e.label, e.start, e.end, e.word) for e in other.entities
        ]
        assert [word.tag for word in one.words] == [word.tag for word in other.words]


def test_an_actor_gives_the_reason_of_a_failed_row(bundle_folder):
    weights = Classifier.load(bundle_folder).bundle.weights_hash
    actor = Actor(Task(str(bundle_folder), "full", weights, {"threads": 1}, keep_bad=True))
    block = pa.table({"text": ["a", None, "b"], "text_pair": [None, "x", "good"]})
    output = actor(block).to_pylist()
    assert [row["error"] for row in output] == [None, "text is NoneType None, expected a string", None]
    assert [row["depth"] for row in output] == [6, None, 6]
    with pytest.raises(elbert.InputError, match="no column named text; columns found: words"):
        actor(pa.table({"words": ["a"]}))
    with pytest.raises(elbert.InputError, match="expected a string"):
        Actor(Task(str(bundle_folder), "full", weights))(block)


def test_an_actor_refuses_another_model(bundle_folder):
    actor = Actor(Task(str(bundle_folder), None, "0" * 64, keep_bad=True))
    with pytest.raises(elbert.BundleError, match="other weights than on the machine that started the run .on "):
        actor(pa.table({"text": ["a"]}))  # not a column: who skips bad rows must not skip all of them


@pytest.mark.parametrize("n", [0, 1, 99, 100])
def test_parts_of_parquet_are_the_whole(tmp_path, n):
    file = str(tmp_path / "rows.parquet")
    pq.write_table(
        pa.table({"text": [None if i % 40 == 7 else str(i) for i in range(n)]}, pa.schema({"text": pa.string()})),
        file,
        10,
    )
    parts = list_parts(file, 25)
    assert len(parts) == max(1, -(-n // 30))
    found = [row for part in parts for row in read_rows(file, part)]
    assert found == list(read_rows(file, None))
    assert [line for _, _, line, _ in found] == list(range(1, n + 1))
    assert [bool(bad) for *_, bad in found] == [i % 40 == 7 for i in range(n)]


def test_an_error_of_the_file_comes_last(tmp_path):
    damaged = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["some words"] * 5000}), damaged, 1000, compression=None, use_dictionary=False)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = b"\xff" * 4000
    damaged.write_bytes(content)
    *good, last = read_rows(str(damaged), None)
    assert last[:3] == (None, None, None)
    assert "not readable as parquet" in last[3]
    assert len(good) < 5000
    [missing] = read_rows(str(tmp_path / "missing.txt"), None)
    assert missing[2] is None
    assert "no such file on " in missing[3]
    [table] = to_tables(read_rows(str(tmp_path / "missing.txt"), None))
    assert table.schema.types == [pa.string(), pa.string(), pa.int64(), pa.string()]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:9", "no Ray cluster answers there"),
        ("ray://127.0.0.1:9", "no Ray cluster answers there"),
        ("nonsense", "is no address of a Ray cluster, expected HOST:PORT"),
        ("127.0.0.1:999999", "is no address"),
        ("127.0.0.1:99999", "no Ray cluster answers there"),
    ],
)
def test_a_bad_address_is_one_line(bundle_folder, capsys, monkeypatch, address, why):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    assert main(["predict", "a", "--ray", address, "--model", str(bundle_folder)]) == 2
    output = capsys.readouterr().err
    assert output.startswith("elbert: error: ")
    assert output.count("\n") == 1
    assert why in output


def test_the_extra_is_named_where_it_is_missing(bundle_folder, capsys, monkeypatch):
    for name in [name for name in sys.modules if name == "ray" or name.startswith("ray.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["predict", "a", "--ray", "--model", str(bundle_folder)]) == 2
    assert capsys.readouterr().err == "elbert: error: this needs ray: pip install 'elbert[ray]'\n"
    for ask in (lambda: elbert.ray.predict(None), elbert.ray.deployment, lambda: elbert.ray.app({})):
        with pytest.raises(elbert.MissingExtra, match=r"pip install 'elbert\[ray\]'"):
            ask()


def test_nothing_of_ray_is_loaded_before_it_is_used():
    code = "import sys, elbert, elbert.cli.commands.predict; sys.exit('elbert.ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    code = "import sys, elbert.ray; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(("spec", "range_"), [(None, None), ("3", (3, 3)), ("1-4", (1, 4))])
def test_how_many_actors(spec, range_):
    assert parse_actors(spec) == range_


@pytest.mark.parametrize("spec", ["0", "4-1", "-2", "a", "1-", "1-b", "1.5", "²"])
def test_no_number_of_actors(spec):
    with pytest.raises(elbert.InputError, match="expected a number from 1, or a range such as 2-8"):
        parse_actors(spec)


def test_actors_are_for_clusters(capsys):
    assert main(["predict", "a", "--actors", "2"]) == 2
    assert "--actors is for --ray" in capsys.readouterr().err


def test_a_missing_file_is_reported_before_any_wait_for_a_cluster(bundle_folder, capsys, monkeypatch):
    monkeypatch.setattr(joining, "_join", lambda *_: pytest.fail("it was waited for"))
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    assert main(["predict", "--input", "nowhere.csv", "--ray", "--model", str(bundle_folder)]) == 2
    assert capsys.readouterr().err == "elbert: error: nowhere.csv: no such file\n"


@pytest.mark.parametrize(("alive", "addresses"), [(False, ["local"]), (True, ["auto"])])
def test_a_killed_cluster_is_not_waited_for(alive, addresses, monkeypatch, tmp_path):
    (tmp_path / "ray").mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    addresses_used = []
    fake = SimpleNamespace(init=lambda address, **_: addresses_used.append(address))
    with socket.create_server(("127.0.0.1", 0)) as door:
        at = f"127.0.0.1:{door.getsockname()[1]}"
        (tmp_path / "ray" / "ray_current_cluster").write_text(at)
        if not alive:
            door.close()
            with pytest.raises(elbert.InputError, match=f"{at}: no Ray cluster answers there"):
                joining._join(fake, "auto")
        joining._join(fake, None)
    assert addresses_used == addresses
