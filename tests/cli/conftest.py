import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from elbert.cli.main import main

COMMAND = [sys.executable, "-m", "elbert.cli.main"]


@dataclass
class Result:
    """Exit status and output of a command."""

    status: int
    out: str
    err: str

    def check_error(self, *parts: str) -> None:
        """Check for status 2, no output, and one line on standard error that contains the parts."""
        assert self.out == ""
        self.check_stopped([], *parts)

    def check_stopped(self, texts: list[str], *parts: str) -> None:
        """Check for the same, after predictions for the texts before."""
        assert self.status == 2
        assert [json.loads(line)["text"] for line in self.out.splitlines()] == texts
        assert self.err.startswith("elbert: error: ")
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        for part in parts:
            assert part in self.err


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """Tiny models are slower on many threads, and much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    del os.environ["OMP_NUM_THREADS"]
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _buffered(monkeypatch):
    """Standard output is buffered, as by default; some environments disable that."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def elbert(capsys):
    """Run a command in this process: fast, and our own errors are printed before Python could."""

    def run(*arguments) -> Result:
        capsys.readouterr()
        status = main([str(a) for a in arguments])
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture
def process():
    """Run a command as a process of its own; keywords go to subprocess."""

    def run(*arguments, **options) -> Result:
        done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def predict(elbert, bundle_folder):
    """elbert predict with the tiny model."""
    return lambda *arguments: elbert("predict", *arguments, "--model", bundle_folder)
