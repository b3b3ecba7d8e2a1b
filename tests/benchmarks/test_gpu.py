"""The prepared run on a CUDA device, at small sizes on the processor: every section works and its result is checked."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": ""},
    )


def test_every_section_runs_and_is_kept(tmp_path):
    done = run("--toy", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    sections = {"device", "correctness", "throughput", "realised", "latency", "tokenising"}
    assert sections <= set(result)
    assert not [name for name in sections if "failed" in result[name]]
    checked = [found for name, found in result["correctness"].items() if name != "errors"]
    assert len(checked) == 2  # models
    for found in checked:
        assert found["rows"] > 50
        assert found["largest_difference"] < 1e-3
        assert all(exits["rows"] == found["rows"] and not exits["exits_other"] for exits in found["exits"].values())
    (realised,) = result["realised"]
    assert realised["mean_depth"] < 2.5
    assert [file.name for file in tmp_path.iterdir()] == ["gpu.json"]


def test_without_a_device_it_stops_with_one_line(tmp_path):
    done = run("--output", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no CUDA device" in done.stderr


def test_a_section_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu

    def fail(run):
        raise RuntimeError("planted")

    def check(run):
        return {"errors": ["planted difference"]}

    monkeypatch.setattr(gpu, "SECTIONS", {"device": fail, "correctness": check})
    assert gpu.main(["--toy", "--output", str(tmp_path)]) == 1
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert "planted" in result["device"]["failed"]
    assert result["correctness"]["errors"] == ["planted difference"]
