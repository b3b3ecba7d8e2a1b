"""A deployment described by plain values: what ``serve deploy`` and ``serve run`` read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

from elbert._extras import require
from elbert.errors import InputError
from elbert.serving.settings import Settings

TRUTH = {"true": True, "false": False}


def app(arguments: Mapping[str, Any]) -> Any:
    """The application that ``import_path: elbert.ray:app`` names; ``arguments`` are its ``args``.

    They are the flags of ``elbert serve`` with underscores (``model_id``, ``operating_point``, ``dtype``, ``threads``,
    ``max_concurrent_requests``, ``auto_truncate``, …), and ``replicas``: a number, or ``[least, most]``.

    Raises:
        InputError: one is unknown, or not as expected; the message shows those that are known.
        MissingExtra: Ray, or what the HTTP interface needs, is not installed.
    """
    from elbert.ray.deployment import deployment, full, usual

    require("starlette", "ray")
    from elbert.serving.http import HttpSettings

    kinds = {"device": str, "dtype": str, "max_batch_requests": int, "replicas": int | list, "strict": bool}
    kinds |= {"threads": int, "model_id": str | None}
    of_service, of_http = get_type_hints(Settings), get_type_hints(HttpSettings)
    given = {name: fitted(name, value, of_service | of_http | kinds) for name, value in arguments.items()}
    if given.get("revision"):
        raise InputError("revision: replicas load a folder that all see, or a hub id at its head; download it first")

    def part(settings: type[Any]) -> dict[str, Any]:
        return {field.name: given[field.name] for field in fields(settings) if field.name in given}

    options: dict[str, Any] = {name: given[name] for name in ("device", "dtype", "strict", "threads") if name in given}
    if "max_batch_requests" in given:
        options["max_rows"] = given["max_batch_requests"]
    if "replicas" in given:
        options["replicas"] = _range(given["replicas"])
    rows = full(options.get("device", "cpu"), options.get("max_rows"))
    http = {name: value for name, value in part(HttpSettings).items() if value is not None}
    return deployment(
        given.get("model_id"),
        given.get("operating_point"),
        settings=replace(usual(rows), **part(Settings)),
        http=HttpSettings(**http) if http else None,
        **options,
    )


def fitted(name: str, value: Any, kinds: Mapping[str, Any]) -> Any:
    """A value of the kind that its name asks for; texts, as a command line brings them, are read.

    Raises:
        InputError: the name is unknown, or the value of another kind.
    """
    if name not in kinds:
        raise InputError(f"{name!r:.60} is no setting; known are {', '.join(sorted(kinds))}")
    wanted = get_args(kinds[name]) or (kinds[name],)
    if tuple in (getattr(kind, "__origin__", kind) for kind in (kinds[name], *wanted)):
        return tuple(value) if isinstance(value, list) else (str(value),)
    for kind in wanted:
        if isinstance(value, kind) and not (isinstance(value, bool) and bool not in wanted):
            return value
        read = _read(value, kind)
        if read is not None:
            return read
    told = " or ".join(getattr(kind, "__name__", str(kind)) for kind in wanted)
    raise InputError(f"{name} is {value!r:.60}, expected {told}")


def _read(value: Any, kind: type[Any]) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is bool and isinstance(value, str):
        return TRUTH.get(value.strip().lower())
    if kind in (int, float) and isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            return None
    return None


def _range(said: int | list[Any]) -> int | tuple[int, int]:
    if isinstance(said, int):
        return said
    if len(said) != 2 or not all(isinstance(number, int) for number in said):
        raise InputError(f"replicas is {said!r:.60}, expected a number, or [least, most]")
    return said[0], said[1]
