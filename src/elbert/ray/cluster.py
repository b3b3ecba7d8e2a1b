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

PATIENCE = 5.0  # seconds in which a cluster must take a connection
QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
SPARE = 1  # processors beside those of actors: who reads and splits blocks must not wait for an actor's place


def ray() -> ModuleType:
    """Ray itself.

    Raises:
        MissingExtra: it is not installed.
    """
    require("ray.data", "ray")
    return require("ray", "ray")


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """Be part of a cluster while inside; one that this process has joined already is left as it is.

    ``address`` is ``HOST:PORT`` or ``ray://HOST:PORT``; unsaid, the cluster that this machine belongs to (or
    RAY_ADDRESS), and where there is none, one that is started on this machine and ended afterwards. ``local``
    starts one in any case.

    Raises:
        InputError: there is no cluster at the address.
        MissingExtra: Ray is not installed.
    """
    module = ray()
    if module.is_initialized():
        if address is not None:
            raise InputError("this process has joined a cluster already; leave the address away")
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
        address = _unless_gone(address)
    elif address != "local":
        _knock(address)
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
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours tells nobody of itself
    ray.init(address="local", num_cpus=(os.cpu_count() or 1) + SPARE, include_dashboard=False, **QUIET)


def _unless_gone(address: str | None) -> str | None:
    """``address``, or ``local`` where Ray would wait for this machine's latest cluster, and that is gone.

    Ray notes in a file where it is, and a cluster that is killed leaves the file behind.
    """
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    try:
        latest = note.read_text(encoding="utf-8").strip()
    except OSError:
        return address
    try:
        _knock(latest)
    except InputError:
        if address is not None:
            raise
        return "local"
    return address


def _knock(address: str) -> None:
    """Ray itself waits for minutes, and then says it in many lines."""
    found = re.fullmatch(r"(?:ray://)?\[?([^\[\]/]+)\]?:(\d{1,5})", address)
    if found is None:
        raise InputError(f"{address!r} is no address of a Ray cluster; expected HOST:PORT, ray://HOST:PORT or local")
    try:
        socket.create_connection((found[1], int(found[2])), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{address}: no Ray cluster answers there ({why}); `ray status` on its head node shows the address"
        ) from error


def _brief(error: Exception) -> str:
    return f"{str(error).strip().splitlines()[0]:.200}" if str(error).strip() else type(error).__name__


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
