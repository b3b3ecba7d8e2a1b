"""What a peer needs besides the model folder: a folder for files, texts to calibrate on, threads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Classify = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts in, probabilities ``[texts, classes]`` out, in the texts' order; tokenising included."""


@dataclass(frozen=True)
class Workshop:
    """The place where peers are made ready."""

    cache: Path
    """exported files are kept here, one folder for each model, and used again"""
    calibration: tuple[str, ...] = ()
    """unlabelled texts like those to come; only static quantisation reads them"""
    threads: int = 2
    """threads of one forward pass"""

    def path(self, folder: Path, name: str) -> Path:
        """Where the file ``name`` made from the model in ``folder`` belongs; its directory exists."""
        content = (folder / "config.json").read_bytes() + (folder / "model.safetensors").read_bytes()
        home = self.cache / hashlib.sha256(content).hexdigest()[:16]
        home.mkdir(parents=True, exist_ok=True)
        return home / name


Prepare = Callable[[Path, int, Workshop], Classify]
"""Model folder, rows of a batch, workshop: the peer, loaded and ready to be timed."""
