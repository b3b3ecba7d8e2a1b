"""Two processes learn what one does, however they are launched: their gradients are averaged, the exit weights' too."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import LABELS, record_of, run, same, weights_of

LEARNED = {"weighting": "learned", "weight_rate": 20.0}  # plain gradient descent, so a large rate
COMMON = {
    "optim": "sgd",
    "bf16": False,  # sums of two processes are rounded in other places
    "train_sampling_strategy": "random",  # groups by length are those of all rows, or of each process's
    "learning_rate": 0.05,
    "load_best_model_at_end": False,
    "num_train_epochs": 2,
    "logging_steps": 1,
    "per_device_eval_batch_size": 10,  # divides evenly: of a batch not full transformers counts the loss twice
}
HALF, WHOLE = "checkpoint-6", "checkpoint-12"
# Both are what people type, `torchrun …` and `accelerate launch …`, without relying on the PATH.
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
ACCELERATE = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
SEEN = [str(Path(__file__).with_name("process.py"))]  # elbert train, and each process's t written to a file
UNCHANGED = ["--module", "elbert"]
pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What one process makes of it, in ``one``; the files that two are to start from."""
    folder = tmp_path_factory.mktemp("processes")
    run(folder, folder / "one", options=LEARNED, per_device_train_batch_size=8, **COMMON)
    return folder


def two(launcher, program, folder, output, **changes):
    """``elbert train`` in two processes, 4 rows each: the 8 of one, in epochs that divide evenly."""
    command = [sys.executable, "-m", *launcher, *program]
    command += ["train", "--model", folder / "start", "--output", output, "--labels", ",".join(LABELS)]
    command += ["--train", folder / "train.jsonl", "--validation", folder / "dev.jsonl"]
    command += ["--weighting", "learned", "--weight-rate", "20", "--use_cpu", "--ddp_backend", "gloo"]
    flags = COMMON | {"per_device_train_batch_size": 4, "warmup_steps": 0} | changes
    command += [part for k, v in flags.items() for part in (f"--{k}", v)]
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def by_torchrun(folder):
    return two(TORCHRUN, [*SEEN, folder], folder, folder / "two")


def losses(output):
    """The loss of every step, and of the validation after every epoch."""
    history = json.loads((output / WHOLE / "trainer_state.json").read_text())["log_history"]
    return [entry.get("loss", entry.get("eval_loss")) for entry in history]


def exit_weights_of_ranks(folder):
    return [json.loads((folder / f"t{rank}.json").read_text()) for rank in (0, 1)]


def assert_learned_alike(found, one):
    """Two processes' folder against one's: every loss, t, and the weights that came of it."""
    assert len(losses(one)) == 14
    assert losses(found) == pytest.approx(losses(one), abs=1e-4)
    assert max(losses(one)) - min(losses(one)) > 0.1
    assert record_of(found)["exit_weights"] == pytest.approx(record_of(one)["exit_weights"], abs=1e-4)
    assert record_of(found)["steps"] == record_of(one)["steps"] == 12
    assert same(weights_of(found), weights_of(one), tolerance=1e-4)
    assert record_of(found)["metrics"]["eval_area"] == record_of(one)["metrics"]["eval_area"]


def test_two_processes_equal_one(folder, by_torchrun):
    assert_learned_alike(folder / "two", folder / "one")
    first, second = exit_weights_of_ranks(folder)
    assert first == second
    assert max(abs(t - 4) for t in first) > 0.05
    assert not same(weights_of(folder / "two"), weights_of(folder / "start"), tolerance=1e-3)
    # One process tells, and the same one writes.
    assert [f.name for f in folder.glob("saved*")] == ["saved0"]
    # Both leave their group, whose threads would otherwise abort a process that ends.
    assert sorted(f.name for f in folder.glob("left*")) == ["left0", "left1"]
    assert by_torchrun.stdout.count("on average over depths") == 1
    assert by_torchrun.stderr.count("epoch 1 of ") == 1


@pytest.mark.slow
def test_accelerate_launches_it_unchanged(folder, tmp_path):
    done = two(ACCELERATE, UNCHANGED, folder, tmp_path / "two")
    assert_learned_alike(tmp_path / "two", folder / "one")
    assert done.stdout.count("on average over depths") == 1


@pytest.mark.slow
def test_torchrun_launches_it_unchanged(folder, tmp_path):
    two(TORCHRUN, UNCHANGED, folder, tmp_path / "two")
    assert_learned_alike(tmp_path / "two", folder / "one")


@pytest.mark.slow
def test_t_survives_resuming_in_two_processes(folder, by_torchrun, tmp_path):
    """Half a run in two processes, and the other half in two new ones, end where a whole run does, t on both ranks."""
    shutil.copytree(folder / "two" / HALF, tmp_path / "two" / HALF)
    two(TORCHRUN, [*SEEN, tmp_path], folder, tmp_path / "two", resume_from_checkpoint="last")
    first, second = exit_weights_of_ranks(tmp_path)
    assert first == second
    assert first == pytest.approx(exit_weights_of_ranks(folder)[0], abs=1e-6)
    assert same(weights_of(tmp_path / "two"), weights_of(folder / "two"), tolerance=1e-6)
    assert losses(tmp_path / "two") == pytest.approx(losses(folder / "two"), abs=1e-6)
