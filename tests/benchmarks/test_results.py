"""Kept results name their command, and no folder of the machine that made them."""

import json
import shlex
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # benchmarks are scripts: their folder is their root

from machine import describe_command  # noqa: E402

COMMANDS = {
    path.stem: record["command"]
    for path in sorted((BENCHMARKS / "results").glob("*.json"))
    if "command" in (record := json.loads(path.read_text("utf-8")))
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_no_path_of_its_machine(name):
    parts = shlex.split(COMMANDS[name])
    assert len(parts) > 1
    assert not [part for part in parts if part.startswith(("/", "~")) or ".." in Path(part).parts]


def test_a_command_can_be_repeated_from_the_project(tmp_path, monkeypatch):
    data = tmp_path / "sst2" / "test.parquet"
    data.parent.mkdir()
    data.touch()
    monkeypatch.chdir(BENCHMARKS)
    written = describe_command(
        [str(BENCHMARKS / "latency.py"), "--data", str(data), "--only", "elbert, safe", "--output", "results", "8"],
        {"ELBERT_NATIVE": "avx2", "HOME": str(tmp_path)},
    )
    assert written == (
        "ELBERT_NATIVE=avx2 python benchmarks/latency.py --data sst2/test.parquet --only 'elbert, safe' "
        "--output benchmarks/results 8"
    )
