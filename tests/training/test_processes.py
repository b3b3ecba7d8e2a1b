"""Two processes learn what one does: their gradients are averaged, those of the exit weights too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import LABELS, record_of, run, same, weights_of

LEARNED = {"weighting": "learned", "weight_rate": 20.0}  # plain gradient descent, so a large rate
COMMON = {"optim": "sgd", "learning_rate": 0.05, "load_best_model_at_end": False, "num_train_epochs": 2}


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed")
def test_two_processes_equal_one(tmp_path):
    run(tmp_path, tmp_path / "one", options=LEARNED, per_device_train_batch_size=8, **COMMON)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(Path(__file__).with_name("process.py")), str(tmp_path)]
    command += ["train", "--model", tmp_path / "start", "--output", tmp_path / "two", "--labels", ",".join(LABELS)]
    command += ["--train", tmp_path / "train.jsonl", "--validation", tmp_path / "dev.jsonl"]
    command += ["--weighting", "learned", "--weight-rate", "20", "--use_cpu", "--ddp_backend", "gloo"]
    # 4 rows by 2 processes are the 8 of one, and the epochs divide evenly.
    flags = COMMON | {"per_device_train_batch_size": 4, "warmup_steps": 0}
    command += [part for k, v in flags.items() for part in (f"--{k}", v)]
    told = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert told.returncode == 0, told.stderr[-3000:]

    first, second = (json.loads((tmp_path / f"t{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert max(abs(t - 4) for t in first) > 0.05
    assert record_of(tmp_path / "two")["exit_weights"] == pytest.approx(
        record_of(tmp_path / "one")["exit_weights"], abs=1e-4
    )
    assert record_of(tmp_path / "two")["steps"] == record_of(tmp_path / "one")["steps"] == 12
    assert same(weights_of(tmp_path / "two"), weights_of(tmp_path / "one"), tolerance=1e-4)
    assert not same(weights_of(tmp_path / "two"), weights_of(tmp_path / "start"), tolerance=1e-3)
    assert record_of(tmp_path / "two")["metrics"]["eval_area"] == record_of(tmp_path / "one")["metrics"]["eval_area"]
    # One process tells, and the same one writes.
    assert [f.name for f in tmp_path.glob("saved*")] == ["saved0"]
    assert told.stdout.count("area") == 1
    assert told.stderr.count("epoch 1.00") == 1
