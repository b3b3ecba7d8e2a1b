"""Runs: a set, a way to train, a seed, from one base. A finished run is known by its record and is not made again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from elbert import Classifier
from elbert.bundle.certificate import files_hash
from elbert.cli.commands.env import collect_facts
from elbert.data import read_examples
from elbert.evaluation import Outputs, collect, load_outputs, parse_target
from elbert.evaluation.report import depth_metrics
from lab.base import Base
from lab.fit import Machine, fit
from lab.places import Places, claimed, public_path
from lab.prepare import Prepared
from lab.variants import Variant

VERSION = 1
SAVED = ("calibration", "test")


@dataclass(frozen=True)
class Run:
    """One fine-tuning, and where what it leaves lies."""

    prepared: Prepared
    variant: Variant
    seed: int
    base: Base
    places: Places

    @property
    def name(self) -> str:
        """For people and for files."""
        return f"{self.prepared.data.name}/{self.variant.name}-{self.seed}"

    @property
    def record_name(self) -> str:
        """The name of the record of what was measured."""
        return f"runs/{self.base.key}/{self.name}"

    @property
    def folder(self) -> Path:
        """Outputs, and the model where it is kept."""
        return self.places.work / "runs" / self.base.key / self.name

    @property
    def depths(self) -> int:
        """How many depths are trained."""
        return self.variant.depths or self.base.depths

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on; a record of other settings is another run's."""
        return {
            "version": VERSION,
            "set": self.prepared.data.name,
            "variant": self.variant.name,
            "seed": self.seed,
            "base": self.base.weights,
            "depths": self.depths,
            "data": self.prepared.hashes,
            **self.prepared.data.training,
            **self.variant.settings,
        }

    def record(self) -> dict[str, Any] | None:
        """What was measured, if the run was finished."""
        found = self.places.records.read(self.record_name)
        return found if found is not None and found.get("settings") == self.settings else None

    def outputs(self, part: str) -> Outputs | None:
        """The saved outputs of a part; None where this machine does not have those that the record is of."""
        return load_outputs(self.folder / f"{part}.npz") if self._has(part) else None

    @property
    def has_outputs(self) -> bool:
        """Whether the saved outputs of both parts are here."""
        return all(self._has(part) for part in SAVED)

    def _has(self, part: str) -> bool:
        record, file = self.record(), self.folder / f"{part}.npz"
        return record is not None and file.is_file() and files_hash([file]) == record["outputs"][part]


def make(run: Run, machine: Machine, *, keep_model: bool, command: str) -> dict[str, Any]:
    """Train, save outputs of every depth, measure; the record comes last, so a killed run leaves none.

    Raises:
        InputError: another process is making this run.
    """
    with claimed(run.folder):
        begun = time.perf_counter()
        trained, base = run.folder / "training", run.base.folder
        shutil.rmtree(trained, ignore_errors=True)  # of a run that was killed
        if run.depths != run.base.depths:
            base = run.base.with_depths(run.depths, run.folder / "base")
        training = fit(base, run.prepared, run.variant, run.seed, trained, machine)
        classifier = Classifier.load(trained, "full", dtype="float32", device=machine.device, threads=machine.threads)
        parts = {part: outputs_of(classifier, run.prepared.file(part)) for part in SAVED}
        for part, outputs in parts.items():
            outputs.save(run.folder / f"{part}.npz")
        keep(trained, run.folder / "model", keep_model)
        shutil.rmtree(run.folder / "base", ignore_errors=True)
        record = {
            "settings": run.settings,
            "base": {"name": run.base.name, "weights": run.base.weights, "saw_this_set": seen(run)},
            "training": training,
            **{part: measured(outputs) for part, outputs in parts.items()},
            "outputs": {part: files_hash([run.folder / f"{part}.npz"]) for part in SAVED},
            "seconds": round(time.perf_counter() - begun, 1),
            "conditions": {
                "bf16": machine.halves,
                "device": machine.device,
                "date": datetime.now(UTC).date().isoformat(),
                "command": command,
                "machine": collect_facts(),
            },
        }
        run.places.records.write(run.record_name, record)
    return record


def seen(run: Run) -> bool:
    """Whether the base was trained on texts of this set with their labels."""
    return run.prepared.data.name in run.base.saw


def keep(trained: Path, model: Path, keep_model: bool) -> None:
    """Keep the trained folder without its checkpoints, or nothing of it."""
    shutil.rmtree(model, ignore_errors=True)
    for checkpoint in trained.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    if keep_model:
        trained.rename(model)
    else:
        shutil.rmtree(trained)


def outputs_of(classifier: Classifier, file: Path) -> Outputs:
    """What every depth says of every text of a file."""
    examples = list(read_examples(str(file)))
    config = classifier.bundle.config
    labels = [parse_target(example, config.labels, config.problem) for example in examples]
    return collect(classifier, [example.content() for example in examples], labels)


def measured(outputs: Outputs) -> dict[str, Any]:
    """Metrics of every depth, and their mean accuracy."""
    found = [depth_metrics(outputs, depth) for depth in range(1, outputs.depths + 1)]
    series = {name: [round(m[name], 5) for m in found] for name in ("accuracy", "f1", "matthews", "ece")}
    area = sum(m["accuracy"] for m in found) / len(found)
    return {"n": len(outputs), "tokens": round(float(outputs.tokens.mean()), 2), "area": round(area, 5), **series}


def command_of(script: str, words: Sequence[tuple[str, Any]]) -> str:
    """The command as others would give it: only what was set, no path of this machine."""
    options = [
        (name, public_path(value) if isinstance(value, Path) else value) for name, value in words if value is not None
    ]
    return " ".join([f"python experiments/{script}", *(f"--{name} {value}" for name, value in options)])
