"""The pool: how many actors, and what each takes of its machine."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from elbert.errors import InputError
from elbert.ray.cluster import SPARE, ray

SIDE_BY_SIDE = 2  # blocks that an actor answers at once: one ends while the next begins
RETRIES = 3  # of a block whose actor died; more, and the block itself is likely to be what kills


@dataclass(frozen=True)
class Pool:
    """From ``least`` to ``most`` actors, each with so many processors and accelerators."""

    least: int
    most: int
    cpus: int
    gpus: float

    @classmethod
    def of(cls, actors: int | tuple[int, int] | None, device: str, threads: int | None) -> Pool:
        """The pool for a wish; unsaid, from one actor to as many as the cluster has room for.

        Raises:
            InputError: there can be no such pool.
        """
        there = ray().cluster_resources()
        gpus = there.get("GPU", 0.0) if device == "cuda" else 0.0
        if device == "cuda" and not gpus:
            raise InputError("device cuda: the cluster has no GPU; expected one, or device cpu")
        cpus = 1 if threads is None else threads
        room = int(gpus) if gpus else (int(there.get("CPU", 1)) - SPARE) // cpus
        least, most = (1, max(1, room)) if actors is None else _range(actors)
        if not gpus and least > room:
            warnings.warn(
                f"{least} actors of {cpus} CPU each, and {SPARE} CPU to read: the cluster has {there.get('CPU', 0):g} "
                "CPU, and the run waits until there are more",
                stacklevel=3,
            )
        return cls(least, most, cpus, 1.0 if gpus else 0.0)

    @property
    def options(self) -> dict[str, Any]:
        """As ``map_batches`` takes them."""
        from ray.data import ActorPoolStrategy

        strategy = ActorPoolStrategy(
            min_size=self.least,
            max_size=self.most,
            max_concurrent_calls_per_actor=SIDE_BY_SIDE,
            enable_true_multi_threading=True,
        )
        return {"compute": strategy, "num_cpus": self.cpus, "num_gpus": self.gpus, "max_task_retries": RETRIES}


def place(device: str) -> str:
    """Where actors compute: ``auto`` is a GPU where the cluster has one."""
    if device != "auto":
        return device
    return "cuda" if ray().cluster_resources().get("GPU", 0.0) >= 1 else "cpu"


def _range(actors: int | tuple[int, int]) -> tuple[int, int]:
    least, most = (actors, actors) if isinstance(actors, int) else actors
    if not 1 <= least <= most:
        raise InputError(f"from {least} to {most} actors, expected from 1 or more to as many or more")
    return least, most
