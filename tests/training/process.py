"""One process of a distributed run: ``elbert train``, with its learned parameters written to a file."""

import atexit
import json
import os
import sys
from pathlib import Path

import torch

from elbert.cli.main import main
from elbert.training import run
from elbert.training.objective import ExitObjective

torch.set_num_threads(1)
kept = []


class Kept(ExitObjective):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        kept.append(self)


def save_with_record(*arguments, whole=run.save):
    (Path(sys.argv[1]) / f"saved{os.environ['RANK']}").touch()
    whole(*arguments)


def record_left():
    """After what training does at the end of the process: handlers run in the opposite order."""
    if not torch.distributed.is_initialized():
        (Path(sys.argv[1]) / f"left{os.environ['RANK']}").touch()


atexit.register(record_left)
run.ExitObjective, run.save = Kept, save_with_record
status = main(sys.argv[2:])
Path(sys.argv[1], f"t{os.environ['RANK']}.json").write_text(json.dumps(kept[0].t.tolist()))
sys.exit(status)
