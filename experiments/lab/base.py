"""The encoder that every run starts from, known by its weights."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elbert.bundle import Bundle, bundled_model
from elbert.errors import InputError

BUNDLED_SAW = ("sst2", "mr")  # trained on SST-2, whose sentences are MR's


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
        seen = tuple(saw) if saw is not None else BUNDLED_SAW if bundled else ()
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
