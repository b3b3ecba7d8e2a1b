"""A deployment for Ray Serve: how many replicas, how much each takes, what happens when that is not enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert._extras import require
from elbert.errors import InputError
from elbert.serving.settings import Settings

if TYPE_CHECKING:
    from elbert.serving.http import HttpSettings

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
    from elbert.ray.replica import Replica, Served
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
