"""The cluster: joined where there is one, started on this machine where there is none."""

from __future__ import annotations

import logging
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from elbert._extras import require
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
def joined(address: str | None = None) -> Iterator[None]:
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
