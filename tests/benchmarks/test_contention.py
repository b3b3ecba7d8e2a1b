"""The benchmark of shared cores: every condition comes about, and its figures are read; at toy size."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # benchmarks are scripts: their folder is their root

import contention  # noqa: E402
from contention import Condition, conditions, measure, middle, print_row, started, stopped_by_turns  # noqa: E402

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="taskset and cgroups are Linux's")
COUNT = """
import sys, json, os, time
sys.stdin.read()
begin, n = time.process_time(), 0
until = time.perf_counter() + 0.3
while time.perf_counter() < until: n += 1
used = time.process_time() - begin
print(json.dumps({"threads": len(os.sched_getaffinity(0)), "texts_per_second": n, "single_ms": [2.0, 1.0 + used],
                  "served_per_second": 0.0, "served_ms": []}), flush=True)
time.sleep(60)
"""


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Conditions around a process that counts instead of classifying."""
    script = tmp_path / "contention.py"
    script.write_text(COUNT)
    monkeypatch.setattr(contention, "__file__", str(script))


@pytest.mark.parametrize("condition", conditions(), ids=lambda condition: condition.name)
def test_a_condition_comes_about_and_ends(counted, condition, capsys):
    row = measure(condition, 0.5)
    assert len(row["threads"]) == condition.processes
    assert row["single"]["answers"] == 2 * condition.processes
    assert row["single"]["longest_ms"] >= row["single"]["p50_ms"] > 0
    assert set(row["threads"]) == {condition.cpus or len(contention.CPUS)}
    print_row(condition, row | {"of_fair_share": 0.5})
    assert "(0.50 of the fair share)" in capsys.readouterr().out
    assert not list(contention.CGROUP.glob("**/elbert-benchmark-*"))


def test_rounds_have_medians():
    rounds = [{"rate": float(n), "single": {"p50_ms": n / 2, "answers": n}, "threads": [2]} for n in (9, 1, 4)]
    assert middle(rounds) == {"rate": 4.0, "single": {"p50_ms": 2.0, "answers": 9}, "threads": [2]}


def test_busy_processes_share_the_session_of_ours():
    """Linux divides time between sessions before it divides it between threads."""
    with started([sys.executable, "-c", "while True: pass"]) as process:
        assert os.getsid(process.pid) == os.getsid(0)
        assert os.getpgid(process.pid) == process.pid


def test_a_quota_is_imitated_by_stops():
    busy = [sys.executable, "-c", "while True: pass"]
    with started(busy) as process, stopped_by_turns([process.pid]):
        states = []
        for _ in range(60):
            time.sleep(0.005)
            states.append(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0])
    assert states.count("T") > 5
    assert states.count("T") < 55


@pytest.mark.slow
def test_the_command_measures_our_own_process():
    command = [sys.executable, str(ROOT / "benchmarks" / "contention.py"), "--quick", "--only", "alone"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "served p50" in done.stdout


def test_a_row_is_json():
    assert json.loads(json.dumps(contention.percentiles([1.0, 2.0]))) == {
        "answers": 2,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "longest_ms": 2.0,
    }
    assert Condition("any", 1.0).processes == 1
