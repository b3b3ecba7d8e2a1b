"""Processes that train together take the same step."""

import os
import subprocess
import sys
from pathlib import Path

import torch

RECIPES = Path(__file__).parents[2] / "recipes"
sys.path.insert(0, str(RECIPES))

from together import Together  # noqa: E402

PROGRAM = """
import sys, torch
from pathlib import Path
from together import Together
with Together() as together:
    rank = together.rank
    weights, gradients = [torch.full((2, 3), 5.0 + rank)], [torch.full((2, 3), 1.0 + rank), torch.tensor([10.0 * rank])]
    together.take_firsts(weights)
    together.average(gradients)
    assert weights[0].eq(5).all() and gradients[0].eq(1.5).all() and gradients[1].eq(5).all(), (weights, gradients)
    assert together.agreed(7.0 + rank) == 7.0 and together.first == (rank == 0) and together.size == 2
    Path(sys.argv[1], f"rank {rank} agrees").touch()  # what both print may come out in one line
"""


def test_two_processes_average_their_gradients(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(program),
        str(tmp_path),
    ]
    environment = os.environ | {"PYTHONPATH": str(RECIPES), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert {"rank 0 agrees", "rank 1 agrees"} <= {file.name for file in tmp_path.iterdir()}


def test_one_process_is_left_alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    together, gradient = Together(), torch.ones(3)
    together.average([gradient])
    together.take_firsts([gradient])
    assert gradient.eq(1).all()
    assert (together.agreed(2.5), together.first) == (2.5, True)
