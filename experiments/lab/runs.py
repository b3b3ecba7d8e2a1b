"""Runs: a set, a way to train, a seed, from one base. A finished run is known by its record and is not made again."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from elbert import Classifier
from elbert.bundle import Bundle, bundled_model
from elbert.bundle.certificate import files_hash
from elbert.cli.commands.env import collect_facts
from elbert.data import read_examples
from elbert.errors import InputError
from elbert.evaluation import Outputs, collect, load_outputs, read_targets
from elbert.evaluation.report import depth_metrics
from lab.fit import Machine, fit
from lab.parts import Prepared
from lab.places import ROOT, Places, claim_folder, public_path
from lab.variants import Variant

GENERAL_BASE = ROOT / "models" / "base"
# The labels that the bundled model and its encoder, models/base, learned: SST-2, whose sentences are MR's; IMDB.
BUNDLED_SAW = ("sst2", "mr", "imdb")


@dataclass(frozen=True)
class Base:
    """A base encoder; ``saw`` are the sets whose texts it was trained on with their labels."""

    folder: Path
    name: str
    weights: str  # SHA-256
    depths: int
    groups: int
    saw: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path | None = None, saw: Sequence[str] | None = None) -> Base:
        """The base in a folder (default: the bundled model).

        Raises:
            BundleError: it is no ALBERT.
        """
        where = bundled_model() if folder is None else folder
        bundle = Bundle.open(where)
        bundled = where.resolve() == bundled_model().resolve()
        name = "bundled" if bundled else re.sub(r"\W+", "_", where.resolve().name)
        has_seen = bundled or where.resolve() == GENERAL_BASE
        seen = tuple(saw) if saw is not None else BUNDLED_SAW if has_seen else ()
        config = bundle.config
        return cls(where, name, bundle.weights_hash, config.depths, config.num_hidden_groups, seen)

    @property
    def key(self) -> str:
        """Names this base and no other."""
        return f"{self.name}-{self.weights[:8]}"

    def with_depths(self, depths: int, target: Path) -> Path:
        """A folder of the same weights with fewer depths.

        Raises:
            InputError: its depths do not share one layer, so fewer would be another model.
        """
        if self.groups != 1:
            raise InputError(f"{self.folder}: its depths share {self.groups} layer groups; plain-K needs one")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder, target, ignore=shutil.ignore_patterns("exits.json", "*.md"))
        config = json.loads((target / "config.json").read_text(encoding="utf-8"))
        (target / "config.json").write_text(json.dumps(config | {"num_hidden_layers": depths}), encoding="utf-8")
        return target


VERSION = 1
SAVED = ("calibration", "test")


@dataclass(frozen=True)
class Run:
    """One fine-tuning, and the places of its results."""

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
    """Train, save outputs of every depth, measure; the record comes last, so a killed run has none.

    Raises:
        InputError: another process is making this run.
    """
    with claim_folder(run.folder):
        begun = time.perf_counter()
        trained, base = run.folder / "training", run.base.folder
        shutil.rmtree(trained, ignore_errors=True)  # of a run that was killed
        if run.depths != run.base.depths:
            base = run.base.with_depths(run.depths, run.folder / "base")
        training = fit(base, run.prepared, run.variant, run.seed, trained, machine)
        classifier = Classifier.load(trained, "full", dtype="float32", device=machine.device, threads=machine.threads)
        parts = {part: collect_outputs(classifier, run.prepared.file(part)) for part in SAVED}
        for part, outputs in parts.items():
            outputs.save(run.folder / f"{part}.npz")
        keep(trained, run.folder / "model", keep_model)
        shutil.rmtree(run.folder / "base", ignore_errors=True)
        record = {
            "settings": run.settings,
            "base": {"name": run.base.name, "weights": run.base.weights, "saw_this_set": is_base_trained_on(run)},
            "training": training,
            **{part: measure_outputs(outputs) for part, outputs in parts.items()},
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


def is_base_trained_on(run: Run) -> bool:
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


def collect_outputs(classifier: Classifier, file: Path) -> Outputs:
    """The probabilities of every depth for every text of a file."""
    examples = list(read_examples(str(file)))
    config = classifier.bundle.config
    _, targets = read_targets(examples, config.labels, config.task)
    return collect(classifier, [example.content() for example in examples], targets)


def measure_outputs(outputs: Outputs) -> dict[str, Any]:
    """Metrics of every depth, and their mean accuracy."""
    found = [depth_metrics(outputs, depth) for depth in range(1, outputs.depths + 1)]
    series = {name: [round(m[name], 5) for m in found] for name in ("accuracy", "f1", "matthews", "ece")}
    area = sum(m["accuracy"] for m in found) / len(found)
    return {"n": len(outputs), "tokens": round(float(outputs.tokens.mean()), 2), "area": round(area, 5), **series}


def format_command(script: str, words: Sequence[tuple[str, Any]]) -> str:
    """The command as others would give it: only what was set, no path of this machine."""
    options = [
        (name, public_path(value) if isinstance(value, Path) else value) for name, value in words if value is not None
    ]
    return " ".join([f"python experiments/{script}", *(f"--{name} {value}" for name, value in options)])
