"""Ray Serve: replicas of the HTTP application, and a deployment described by plain values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from elbert._optional import require
from elbert.errors import InputError
from elbert.serving.settings import Settings

if TYPE_CHECKING:
    from elbert.serving.http import HttpSettings
    from elbert.serving.http.middleware import Asgi, Receive, Scope, Send
    from elbert.serving.service import Service


@dataclass(frozen=True)
class Served:
    """What a replica serves: a model, loaded so, under these settings."""

    model: str | None
    policy: str | None
    settings: Settings
    http: HttpSettings
    load: Mapping[str, Any] = field(default_factory=dict)


class Replica:
    """Serve starts it, sends it requests, asks for its health and ends it; the engine batches, not Serve."""

    def __init__(self, served: Served) -> None:
        from elbert.classifier import Classifier
        from elbert.serving.http import Metrics, application
        from elbert.serving.service import Service
        from elbert.serving.warmup import leave_out_what_stays, remember_sizes

        remember_sizes()
        classifier = Classifier.load(served.model, served.policy, **served.load)
        metrics = Metrics(classifier)
        self.service = Service(classifier, served.settings, observer=metrics)
        self._app = application(self.service, _with_key(served.http), metrics)
        leave_out_what_stays()

    def __serve_build_asgi_app__(self) -> Asgi:
        """What Serve starts, hands requests to, and stops."""
        return Mounted(self._app, self.service)

    async def check_health(self) -> None:
        """Called by Serve, which ends a replica that raises and starts another.

        Raises:
            BackendFailure: the engine has failed, and does not recover.
        """
        from elbert.serving.errors import BackendFailure

        if not self.service.healthy:
            raise BackendFailure("the engine has failed and does not recover")


class Mounted:
    """An application that lives as long as its service, and does not know under which prefix it is reached."""

    def __init__(self, app: Asgi, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or start and stop."""
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        root = scope.get("root_path", "").rstrip("/")
        if root and scope.get("path", "").startswith(root):
            scope = {**scope, "path": scope["path"].removeprefix(root) or "/"}
        return await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._service.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()  # Serve waits for the requests that are under way before it says so
        await self._service.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _with_key(http: HttpSettings) -> HttpSettings:
    """The API key is better kept in the environment than in a file of settings, as for ``elbert serve``."""
    key = os.environ.get("API_KEY", "").strip()
    return replace(http, api_key=key) if http.api_key is None and key else http


QUEUE = 4  # layer calls' worth of texts that may be under way in a replica; more are refused
REFUSING = 2  # times as many requests reach a replica: it refuses them with our words, and at once
MORE_AT_ONCE = 25  # percent of replicas beside the others while they are replaced, one at least
LAST_WORDS = 10.0  # seconds beyond the service's own shutdown
RETRY_AFTER = 1.0  # seconds, told by Serve where not even a refusal of ours can be had
WARM_UP = 5.0  # seconds, as `elbert serve` has it
NEEDED = ("starlette", "orjson", "prometheus_client")


def deployment(
    model: str | Path | None = None,
    policy: str | None = None,
    *,
    replicas: int | tuple[int, int] = (1, 4),
    dtype: str = "auto",
    device: str = "cpu",
    threads: int | None = None,
    max_rows: int | None = None,
    strict: bool = False,
    settings: Settings | None = None,
    http: HttpSettings | None = None,
    name: str = "elbert",
) -> Any:
    """An application for :func:`ray.serve.run`: ``elbert serve``'s HTTP interface on a cluster.

    >>> serve.run(elbert.ray.deployment("/shared/model", "fast", replicas=(2, 8)))

    Every replica has an engine of its own, which takes texts of many requests into one layer call. So requests are
    sent to it as they come (no ``serve.batch``), and there are as many at once as its engine has use for: by
    ``settings`` unsaid, four layer calls' worth of texts under way, and beyond that 429 with ``Retry-After``.
    ``replicas`` is a number, or ``(least, most)``: one more is started when requests that are under way pass one full
    layer call a replica. Each takes ``threads`` processors (unsaid: one), and with ``device="cuda"`` a GPU.

    Raises:
        InputError: an option is not acceptable.
        MissingExtra: Ray, or what the HTTP interface needs, is not installed.
    """
    serve = require("ray.serve", "ray")
    for module in NEEDED:
        require(module, "ray")
    from elbert.ray.bulk import everywhere
    from elbert.serving.http import HttpSettings

    rows = full(device, max_rows)
    settings = usual(rows) if settings is None else settings
    load = {"dtype": dtype, "device": device, "threads": threads or 1, "max_rows": max_rows, "strict": strict}
    named = everywhere(model)
    http = HttpSettings(model_id=named or "bundled") if http is None else http
    ongoing = REFUSING * settings.max_concurrent_requests
    deployed = serve.deployment(
        serve.ingress()(Replica),
        name=name,
        max_ongoing_requests=ongoing,
        max_queued_requests=ongoing,
        backpressure_config={"status_code": 429, "retry_after_s": RETRY_AFTER},
        graceful_shutdown_timeout_s=settings.shutdown_timeout + LAST_WORDS,
        graceful_shutdown_wait_loop_s=0.5,
        max_surge_percent=MORE_AT_ONCE,
        ray_actor_options={"num_cpus": threads or 1, "num_gpus": 1 if device == "cuda" else 0},
        **_number(replicas, rows),
    )
    return deployed.bind(Served(named, policy, settings, http, load))


def full(device: str, max_rows: int | None) -> int:
    """Rows of a full layer call.

    Raises:
        InputError: replicas cannot be there.
    """
    from elbert.classifier import CAPACITY

    if device not in CAPACITY:
        raise InputError(f"device is {device!r}, expected {' or '.join(CAPACITY)}: replicas are all alike")
    return CAPACITY[device].rows if max_rows is None else max_rows


def usual(rows: int) -> Settings:
    """Settings for an engine whose calls have so many rows."""
    return Settings(max_concurrent_requests=QUEUE * rows, warm_up=WARM_UP)


def _number(replicas: int | tuple[int, int], rows: int) -> dict[str, Any]:
    least, most = (replicas, replicas) if isinstance(replicas, int) else replicas
    if not 1 <= least <= most:
        raise InputError(f"from {least} to {most} replicas, expected from 1 or more to as many or more")
    if least == most:
        return {"num_replicas": least}
    return {"autoscaling_config": {"min_replicas": least, "max_replicas": most, "target_ongoing_requests": float(rows)}}


TRUTH = {"true": True, "false": False}


def app(arguments: Mapping[str, Any]) -> Any:
    """The application that ``import_path: elbert.ray:app`` names; ``arguments`` are its ``args``.

    They are the flags of ``elbert serve`` with underscores (``model_id``, ``operating_point``, ``dtype``, ``threads``,
    ``max_concurrent_requests``, ``auto_truncate``, …), and ``replicas``: a number, or ``[least, most]``.

    Raises:
        InputError: one is unknown, or not as expected; the message shows those that are known.
        MissingExtra: Ray, or what the HTTP interface needs, is not installed.
    """

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
