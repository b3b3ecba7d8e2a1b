"""The quick benchmark: what counts as fallen, the files it keeps, and that it measures what its names say."""

import csv
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # benchmarks are scripts: their folder is their root

import quick  # noqa: E402
from history import COLUMNS, Ratio, Source, append_history, better, compare, keep_ratios, read_kept  # noqa: E402
from peers import PEERS  # noqa: E402

HERE = Source("2026-01-02", "abc1234+", "a processor, 2 cores", "elbert 1; torch 2")
ELSEWHERE = Source("2026-01-03", "abc1234", "another, 4 cores", "elbert 1")


@pytest.mark.parametrize(("value", "has_fallen"), [(2.0, False), (1.71, False), (1.69, True), (3.0, False)])
def test_a_ratio_falls_by_more_than_15_percent(value, has_fallen):
    (found,) = compare([Ratio("a", value, ("x",))], {"a": Ratio("a", 2.0, ("x",))})
    assert found.has_fallen == has_fallen
    assert ("FALLEN" in str(found)) == has_fallen


def test_what_cannot_be_compared_does_not_fall():
    kept = {"a": Ratio("a", 2.0, ("x", "y"))}
    other, new, same = compare([Ratio("a", 0.1, ("x",)), Ratio("b", 0.1), Ratio("a", 2.0, ("y", "x"))], kept)
    assert not other.has_fallen
    assert "against x, y" in str(other)
    assert not new.has_fallen
    assert "nothing kept" in str(new)
    assert same.kept == 2.0


def test_of_two_measurements_the_higher_counts():
    assert better([Ratio("a", 1.0), Ratio("b", 2.0)], [Ratio("b", 1.5), Ratio("a", 1.2)]) == [
        Ratio("a", 1.2),
        Ratio("b", 2.0),
    ]


def test_kept_ratios_are_those_of_a_machine(tmp_path):
    path, ratios = tmp_path / "kept.json", [Ratio("a", 1.25, ("x",)), Ratio("b", 0.5)]
    assert read_kept(path, HERE.machine) == {}
    keep_ratios(path, HERE, ratios)
    keep_ratios(path, ELSEWHERE, [Ratio("a", 9.0)])
    assert read_kept(path, HERE.machine) == {ratio.name: ratio for ratio in ratios}
    keep_ratios(path, HERE, [Ratio("a", 2.0)])
    assert read_kept(path, HERE.machine) == {"a": Ratio("a", 2.0)}
    assert read_kept(path, ELSEWHERE.machine) == {"a": Ratio("a", 9.0)}


def test_history_grows_by_a_line_a_ratio(tmp_path):
    path = tmp_path / "history.csv"
    append_history(path, HERE, [Ratio("a", 1.23456, ("y", "x"))])
    append_history(path, ELSEWHERE, [Ratio("a", 1.0), Ratio("b", 2.0)])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["ratio"] for row in rows] == ["1.235", "1.000", "2.000"]
    assert rows[0] | {"against": "x; y", "machine": HERE.machine, "commit": "abc1234+"} == rows[0]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(quick, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(quick, "HISTORY", tmp_path / "history.csv")
    monkeypatch.setattr(quick, "installed_peers", list)
    monkeypatch.setattr(quick, "silence_peers", lambda: None)
    return tmp_path


def run(monkeypatch, values, *arguments):
    """The benchmark with parts that return values one after the other."""
    left = list(values)

    class Fixed:
        def __init__(self, *_):
            pass

        def parts(self):
            return [lambda _: [Ratio("a", left.pop(0))]]

    monkeypatch.setattr(quick, "Contest", Fixed)
    monkeypatch.setattr(sys, "argv", ["quick.py", *arguments])
    return quick.main()


def test_the_command_fails_when_a_ratio_is_low_twice(results, monkeypatch, capsys):
    assert run(monkeypatch, [1.0]) == 0
    assert "nothing is kept for this machine" in capsys.readouterr().out
    assert run(monkeypatch, [2.0], "--keep") == 0
    assert run(monkeypatch, [1.8]) == 0
    assert run(monkeypatch, [1.5, 1.9]) == 0
    capsys.readouterr()
    assert run(monkeypatch, [1.5, 1.6]) == 1
    assert "fallen by more than 15 %: a" in capsys.readouterr().out
    assert len((results / "history.csv").read_text().splitlines()) == 6


def test_ten_ratios_with_the_peers_of_a_plain_installation(tmp_path, monkeypatch):
    """At toy size, with transformers as the only peer; it has no int8, so three ratios are not there."""
    monkeypatch.setattr(quick, "LENGTHS", (8,))
    monkeypatch.setattr(quick, "CAPACITIES", (1,))
    monkeypatch.setattr(quick, "repeated", lambda go: quick_run(go))
    monkeypatch.setattr("realised.texts_for", lambda *_: 4)
    peers = [peer for peer in PEERS if peer.name in ("pipeline", "transformers")]
    contest = quick.Contest(tmp_path, peers, ["a fine film", "dull"])
    found = [ratio for part in contest.parts() for ratio in part(1)]
    assert [ratio.name for ratio in found] == [
        "float32, one text of 8 tokens, full depth",
        "bfloat16, one text of 8 tokens, full depth",
        "int8, batched, exits at safe",
        "bfloat16, realised fraction, capacity 1",
    ]
    assert [ratio.against for ratio in found] == [("transformers",), ("transformers",), ("pipeline",), ()]
    assert all(ratio.value > 0 for ratio in found)


def quick_run(go):
    def once():
        go()

    once.times = 1
    return once


def test_the_machine_is_named(monkeypatch):
    monkeypatch.setenv("ELBERT_NATIVE", "")
    source = quick.describe_source()
    assert source.machine.endswith(" cores")
    monkeypatch.setenv("ELBERT_NATIVE", "avx2")
    assert quick.describe_source().machine == f"{source.machine}, ELBERT_NATIVE=avx2"
    assert source.versions.startswith("elbert ")
