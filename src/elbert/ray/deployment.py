"""Ray Serve: the HTTP application as a deployment with replicas, also from the plain values of a YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert._optional import require
from elbert._settings import build_settings, parse_values, settings_of
from elbert.errors import InputError
from elbert.serving.settings import HttpSettings, ModelSettings, Settings, read_models

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from elbert.serving.service import Service

QUEUED_CALLS = 4  # layer calls' worth of texts that a replica accepts; its engine has no use for more at once
OVERLOAD_FACTOR = 2  # requests per accepted text that reach a replica: it rejects the others with our error shape
SURGE_PERCENT = 25  # of replicas that may start beside the old ones during an update, at least one
SHUTDOWN_MARGIN = 10.0  # seconds that Serve waits beyond the service's own shutdown timeout
RETRY_AFTER = 1.0  # seconds, in Serve's own 429, where a request reaches no replica at all
REQUIRED_MODULES = ("starlette", "msgspec", "prometheus_client")


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
    """An application for :func:`ray.serve.run`: the HTTP interface of ``elbert serve`` on a cluster.

    >>> serve.run(elbert.ray.deployment("/shared/model", "fast", replicas=(2, 8)))

    Each replica has its own engine, which batches the texts of many requests, so requests go to it one by one (no
    ``serve.batch``). By default a replica accepts four layer calls' worth of texts, and rejects more with 429 and
    ``Retry-After``.

    ``replicas`` is a number, or ``(min, max)``: another replica starts when the requests in progress exceed one full
    layer call per replica. Each takes ``threads`` processors (default: one), and with ``device="cuda"`` one GPU.

    Raises:
        InputError: an option is not acceptable.
        MissingExtra: Ray, or a library of the HTTP application, is not installed.
    """
    serve = require("ray.serve", "ray")
    for module in REQUIRED_MODULES:
        require(module, "ray")
    from elbert.ray.bulk import portable_name

    rows = rows_per_call(device, max_rows)
    settings = default_settings(rows) if settings is None else settings
    load = {"dtype": dtype, "device": device, "threads": threads or 1, "max_rows": max_rows, "strict": strict}
    model_name = portable_name(model)
    http = HttpSettings(model_id=model_name or "bundled") if http is None else http
    max_requests = OVERLOAD_FACTOR * settings.max_concurrent_requests
    serve_deployment = serve.deployment(
        serve.ingress()(Replica),
        name=name,
        max_ongoing_requests=max_requests,
        max_queued_requests=max_requests,
        backpressure_config={"status_code": 429, "retry_after_s": RETRY_AFTER},
        graceful_shutdown_timeout_s=settings.shutdown_timeout + SHUTDOWN_MARGIN,
        graceful_shutdown_wait_loop_s=0.5,
        max_surge_percent=SURGE_PERCENT,
        ray_actor_options={"num_cpus": threads or 1, "num_gpus": 1 if device == "cuda" else 0},
        **_scaling_options(replicas, rows),
    )
    return serve_deployment.bind(ReplicaConfig(model_name, policy, settings, http, load))


def app(arguments: Mapping[str, Any]) -> Any:
    """The application that ``import_path: elbert.ray:app`` names in a YAML file; ``arguments`` are its ``args``.

    They are the flags of ``elbert serve`` with underscores (``model_id``, ``operating_point``, ``dtype``, ``threads``,
    ``max_concurrent_requests``, ``auto_truncate``, …), the other fields of :class:`Settings` and
    :class:`HttpSettings`, and ``replicas``: a number, or ``[min, max]``.

    Raises:
        InputError: an argument is unknown (the message lists the known ones), or its value is not as expected.
        MissingExtra: Ray, or a library of the HTTP application, is not installed.
    """
    require("starlette", "ray")
    known = {setting.name: setting for setting in settings_of(ModelSettings, Settings, HttpSettings)}
    values = parse_values({name: value for name, value in arguments.items() if name != "replicas"}, known)
    model, *others = read_models(values.get("model_id", ()))
    if others or model.name is not None:
        raise InputError("model_id: a replica serves one model without NAME=; deploy an application for each model")
    if values.get("revision"):
        raise InputError(
            "revision: replicas load a shared folder, or a hub id at its latest commit; download the revision first"
        )
    options: dict[str, Any] = {
        name: values[name] for name in ("device", "dtype", "strict", "threads") if name in values
    }
    if "replicas" in arguments:
        options["replicas"] = _parse_replicas(arguments["replicas"])
    max_rows = values.get("max_batch_requests")
    defaults = default_settings(rows_per_call(options.get("device", "cpu"), max_rows))
    settings = replace(defaults, **{item.name: values[item.name] for item in fields(Settings) if item.name in values})
    http = build_settings(HttpSettings, values, model_id=model.model or "bundled")
    return deployment(
        model.model,
        values.get("operating_point"),
        max_rows=max_rows,
        settings=settings,
        http=http,
        **options,
    )


def rows_per_call(device: str, max_rows: int | None) -> int:
    """The rows of a full layer call.

    Raises:
        InputError: a replica cannot use the device.
    """
    from elbert.classifier import DEFAULT_CAPACITY

    if device not in DEFAULT_CAPACITY:
        known = " or ".join(DEFAULT_CAPACITY)
        raise InputError(f"device is {device!r}, expected {known}: all replicas use the same device")
    return DEFAULT_CAPACITY[device].rows if max_rows is None else max_rows


def default_settings(rows: int) -> Settings:
    """The settings for an engine with this many rows in a layer call; ``warm_up`` is that of ``elbert serve``."""
    warm_up = next(setting.default for setting in settings_of(Settings) if setting.name == "warm_up")
    return Settings(max_concurrent_requests=QUEUED_CALLS * rows, warm_up=warm_up)


def _scaling_options(replicas: int | tuple[int, int], rows: int) -> dict[str, Any]:
    lowest, highest = (replicas, replicas) if isinstance(replicas, int) else replicas
    if not 1 <= lowest <= highest:
        raise InputError(f"from {lowest} to {highest} replicas, expected 1 or more, the lower number first")
    if lowest == highest:
        return {"num_replicas": lowest}
    scaling = {"min_replicas": lowest, "max_replicas": highest, "target_ongoing_requests": float(rows)}
    return {"autoscaling_config": scaling}


def _parse_replicas(value: Any) -> int | tuple[int, int]:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, list) and len(value) == 2 and all(isinstance(number, int) for number in value):
        return value[0], value[1]
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    raise InputError(f"replicas is {value!r:.60}, expected a number, or [min, max]")


@dataclass(frozen=True)
class ReplicaConfig:
    """What a replica serves; ``load`` are options of :meth:`Classifier.load`. Sent to the workers, so picklable."""

    model: str | None
    policy: str | None
    settings: Settings
    http: HttpSettings
    load: Mapping[str, Any] = field(default_factory=dict)


class Replica:
    """One copy of the server. Ray Serve starts it, routes requests to it, checks its health and stops it."""

    def __init__(self, config: ReplicaConfig) -> None:
        from elbert.classifier import Classifier
        from elbert.serving.http import Metrics, application
        from elbert.serving.service import Service
        from elbert.serving.warmup import enlarge_primitive_cache, freeze_objects

        enlarge_primitive_cache()
        classifier = Classifier.load(config.model, config.policy, **config.load)
        metrics = Metrics(classifier)
        self.service = Service(classifier, config.settings, observer=metrics)
        self._app = application(self.service, _with_api_key(config.http), metrics)
        freeze_objects()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """The application that Serve starts, calls for each request, and stops."""
        return MountedApplication(self._app, self.service)

    async def check_health(self) -> None:
        """Called by Serve, which replaces a replica whose check raises.

        Raises:
            BackendFailure: the engine has failed and cannot recover.
        """
        from elbert.serving.errors import BackendFailure

        if not self.service.is_healthy:
            raise BackendFailure("the engine has failed and does not recover")


class MountedApplication:
    """Ties the service's life to the ASGI lifespan, and removes Serve's route prefix from paths."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or the start and the stop."""
        if scope["type"] == "lifespan":
            return await self._run_lifespan(receive, send)
        root = scope.get("root_path", "").rstrip("/")
        if root and scope.get("path", "").startswith(root):
            scope = {**scope, "path": scope["path"].removeprefix(root) or "/", "root_path": ""}
        return await self._app(scope, receive, send)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._service.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()  # Serve sends the shutdown message after the requests in progress have ended
        await self._service.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _with_api_key(http: HttpSettings) -> HttpSettings:
    """Take the API key from the environment, as ``elbert serve`` does: better than in a configuration file."""
    key = os.environ.get("API_KEY", "").strip()
    return replace(http, api_key=key) if http.api_key is None and key else http
