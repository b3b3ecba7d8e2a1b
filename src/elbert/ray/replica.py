"""A replica: one process of the cluster with one engine, behind the same HTTP interface as ``elbert serve``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from elbert.serving.settings import Settings

if TYPE_CHECKING:
    from elbert.serving.http import HttpSettings
    from elbert.serving.http.presence import Asgi, Receive, Scope, Send
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
        from elbert.serving.warming import leave_out_what_stays, remember_sizes

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
