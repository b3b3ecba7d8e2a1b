"""The cluster: join it or start it on this machine, and the resources that each actor takes."""

from __future__ import annotations

import logging
import os
import re
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from elbert._optional import require
from elbert.errors import InputError

CONNECT_SECONDS = 5.0  # within which a cluster must accept a connection
QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
SPARE_CPUS = 1  # beside those of actors: the tasks that read and split blocks must not wait for an actor to end


def import_ray() -> ModuleType:
    """Import Ray with its data library.

    Raises:
        MissingExtra: it is not installed.
    """
    require("ray.data", "ray")
    return require("ray", "ray")


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """Connect to a cluster inside ``with``; an existing connection of this process is used and stays.

    ``address`` is ``HOST:PORT`` or ``ray://HOST:PORT``. By default it is RAY_ADDRESS or the cluster that this machine
    belongs to; if there is none, a cluster is started on this machine and stopped at the end. ``local`` always starts
    one.

    Raises:
        InputError: no cluster answers at the address.
        MissingExtra: Ray is not installed.
    """
    module = import_ray()
    if module.is_initialized():
        if address is not None:
            raise InputError("this process is connected to a cluster already; remove the address")
        yield
        return
    _join(module, address)
    try:
        yield
    finally:
        module.shutdown()


def _join(ray: ModuleType, address: str | None) -> None:
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address in (None, "auto"):
        address = _check_latest_cluster(address)
    elif address != "local":
        _check_address(address)
    try:
        if address != "local":
            ray.init(address=address or "auto", **QUIET)
            return
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        if address is not None:
            raise InputError(
                f"{address}: no Ray cluster could be joined there ({_brief(error)}); "
                "where it asks for a token, set RAY_AUTH_MODE=token"
            ) from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no reports to the Ray project
    ray.init(address="local", num_cpus=(os.cpu_count() or 1) + SPARE_CPUS, include_dashboard=False, **QUIET)


def _check_latest_cluster(address: str | None) -> str | None:
    """Return ``address``, or ``local`` if Ray would wait for a cluster of this machine that does not answer.

    Ray keeps the latest cluster's address in a file, which stays when the cluster is killed.
    """
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    try:
        latest = note.read_text(encoding="utf-8").strip()
    except OSError:
        return address
    try:
        _check_address(latest)
    except InputError:
        if address is not None:
            raise
        return "local"
    return address


def _check_address(address: str) -> None:
    """Check that an address accepts connections: Ray itself waits for minutes, and its error has many lines."""
    found = re.fullmatch(r"(?:ray://)?\[?([^\[\]/]+)\]?:(\d{1,5})", address)
    if found is None:
        raise InputError(f"{address!r} is no address of a Ray cluster, expected HOST:PORT, ray://HOST:PORT or local")
    try:
        socket.create_connection((found[1], int(found[2])), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{address}: no Ray cluster answers there ({why}); `ray status` on its head node shows the address"
        ) from error


def _brief(error: Exception) -> str:
    return f"{str(error).strip().splitlines()[0]:.200}" if str(error).strip() else type(error).__name__


BLOCKS_PER_ACTOR = 2  # at once: the next block fills the places that the last rows of this one leave free
RETRIES = 3  # of a block whose actor died; after that, the block itself is the likely cause


@dataclass(frozen=True)
class ActorPool:
    """From ``min_actors`` to ``max_actors`` actors, and the processors and GPUs of each."""

    min_actors: int
    max_actors: int
    cpus: int
    gpus: float

    @classmethod
    def plan(cls, actors: int | tuple[int, int] | None, device: str, threads: int | None) -> ActorPool:
        """Plan a pool; by default from one actor to as many as the cluster has resources for.

        Raises:
            InputError: the numbers are not valid, or there is no GPU for device cuda.
        """
        resources = import_ray().cluster_resources()
        gpus = resources.get("GPU", 0.0) if device == "cuda" else 0.0
        if device == "cuda" and not gpus:
            raise InputError("device cuda: the cluster has no GPU; expected one, or device cpu")
        cpus = 1 if threads is None else threads
        capacity = int(gpus) if gpus else (int(resources.get("CPU", 1)) - SPARE_CPUS) // cpus
        lowest, highest = (1, max(1, capacity)) if actors is None else _range(actors)
        if not gpus and lowest > capacity:
            warnings.warn(
                f"{lowest} actors of {cpus} CPU each, and {SPARE_CPUS} CPU to read: the cluster has "
                f"{resources.get('CPU', 0):g} CPU, and the run waits until there are more",
                stacklevel=3,
            )
        return cls(lowest, highest, cpus, 1.0 if gpus else 0.0)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments for ``map_batches``."""
        from ray.data import ActorPoolStrategy

        strategy = ActorPoolStrategy(
            min_size=self.min_actors,
            max_size=self.max_actors,
            max_concurrent_calls_per_actor=BLOCKS_PER_ACTOR,
            enable_true_multi_threading=True,
        )
        return {"compute": strategy, "num_cpus": self.cpus, "num_gpus": self.gpus, "max_task_retries": RETRIES}


def resolve_device(device: str) -> str:
    """The device of the actors: ``auto`` is cuda if the cluster has a GPU, else cpu."""
    if device != "auto":
        return device
    return "cuda" if import_ray().cluster_resources().get("GPU", 0.0) >= 1 else "cpu"


def _range(actors: int | tuple[int, int]) -> tuple[int, int]:
    lowest, highest = (actors, actors) if isinstance(actors, int) else actors
    if not 1 <= lowest <= highest:
        raise InputError(f"from {lowest} to {highest} actors, expected 1 or more, the lower number first")
    return lowest, highest
