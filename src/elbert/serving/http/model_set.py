"""The models of one process: each has its own engine, all share the bounds on work, and all can be loaded again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic

from starlette.types import ASGIApp, Receive, Scope, Send

from elbert.classifier import Classifier
from elbert.errors import ElbertError
from elbert.serving.admission import Admission
from elbert.serving.http.api_keys import read_api_keys
from elbert.serving.http.app import application
from elbert.serving.http.logs import OPERATIONS
from elbert.serving.http.metrics import Metrics
from elbert.serving.http.served_model import ServedModel
from elbert.serving.service import Service
from elbert.serving.settings import HttpSettings, Settings
from elbert.serving.warmup import freeze_objects

log = logging.getLogger(OPERATIONS)

POLL_SECONDS = 0.01  # between checks whether the requests to a replaced application have ended


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: its name in responses, its folder or hub id, and the function that loads it."""

    name: str
    model_id: str
    load: Callable[[], Classifier]


@dataclass
class _Generation:
    """An application, and the number of its requests in progress."""

    app: ASGIApp
    requests: int = 0


class SwitchableApp:
    """An ASGI application that can be replaced; a request ends in the application in which it began."""

    def __init__(self, app: ASGIApp) -> None:
        self._current = _Generation(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        generation = self._current
        generation.requests += 1
        try:
            # In a copy: an idle connection keeps its last scope, and would keep the application and its models.
            await generation.app(dict(scope), receive, send)
        finally:
            generation.requests -= 1

    async def switch(self, app: ASGIApp, timeout: float) -> None:
        """Let new requests begin in another application; return when those in the old one have ended, or in time."""
        old, self._current = self._current, _Generation(app)
        until = monotonic() + timeout
        while old.requests and monotonic() < until:
            await asyncio.sleep(POLL_SECONDS)


class ModelSet:
    """The models that a process serves, and their application. All methods are called on one event loop.

    Requests name a model, by the field ``model`` or the path; without a name the first one answers.
    """

    def __init__(
        self, sources: Sequence[ModelSource], settings: Settings, http: HttpSettings, *, loopback_only: bool = False
    ) -> None:
        self._sources = sources
        self._settings = settings
        self._http = http
        self._loopback_only = loopback_only
        self._keys = read_api_keys(http)
        classifiers = [source.load() for source in sources]
        depths = max(classifier.depths for classifier in classifiers)
        self._admission = Admission(settings.max_concurrent_requests, settings.max_batch_tokens * depths)
        pairs = zip(sources, classifiers, strict=True)
        self._models = [self._build(source, classifier, Metrics(classifier)) for source, classifier in pairs]
        self.app = SwitchableApp(self._build_app())
        self._reloading: asyncio.Task[None] | None = None
        self._is_started = self._is_reload_due = False

    @property
    def services(self) -> dict[str, Service]:
        """The services of all models by name, in order."""
        return {model.settings.name: model.service for model in self._models}

    async def start(self) -> None:
        """Start all engines.

        Raises:
            BackendFailure: an engine does not work.
        """
        for model in self._models:
            await model.service.start()
        self._is_started = True

    async def stop(self, timeout: float | None = None) -> bool:
        """Reject new requests, and finish those in progress; return whether all were finished in time."""
        if self._reloading is not None and self._reloading.cancel():
            with suppress(asyncio.CancelledError):
                await self._reloading
            log.warning("the reload was ended: the server is stopping")
        return all(await asyncio.gather(*(model.service.stop(timeout) for model in self._models)))

    def request_reload(self) -> None:
        """Begin to load the models and the key file again; while that is in progress, once more after it."""
        self._is_reload_due = self._is_started
        if not self._is_started:
            log.warning("no reload: the server is starting; send the signal again when it accepts requests")
        elif self._reloading is not None and not self._reloading.done():
            log.info("a reload is in progress; another one begins after it")
        else:
            self._reloading = asyncio.get_running_loop().create_task(self._reload_while_due())

    async def _reload_while_due(self) -> None:
        while self._is_reload_due:  # files may change while they are read
            self._is_reload_due = False
            try:
                await self.reload()
            except Exception as error:
                log.error("the models stay as they are: the reload failed", exc_info=error)

    async def reload(self) -> None:
        """Load every model and the key file again, and replace them without dropping a request.

        Requests in progress end with the model with which they began. A model that cannot be loaded, or a key file
        that cannot be read, stays as it is, with one line in the log. The log also has the begin and the end.
        """
        await self._reload()
        freeze_objects()  # when no variable has an old model, so that its memory is free

    async def _reload(self) -> None:
        replaced = list[Service]()
        log.info("the models and the API keys are read again")
        self._read_keys_again()
        models = list(self._models)
        try:
            for number, (source, old) in enumerate(zip(self._sources, self._models, strict=True)):
                if (new := await self._load_again(source, old)) is not None:
                    models[number] = new
                    replaced.append(old.service)
            depths = max(model.service.classifier.depths for model in models)
            self._admission.max_layer_tokens = self._settings.max_batch_tokens * depths
            before, self._models = self._models, models
            try:
                app = self._build_app()
            except Exception:
                self._models = before
                raise
        except BaseException:
            for model in models:
                if model not in self._models:
                    await model.service.stop(0)
            raise
        try:
            await self.app.switch(app, self._settings.shutdown_timeout)
        finally:
            for service in replaced:
                if not await service.stop():
                    log.warning("some requests to a replaced model were not finished within --shutdown-timeout")
        for model in models:
            if model not in before:
                weights = model.service.classifier.bundle.weights_hash
                log.info("the model %s is loaded again (weights %.12s)", model.settings.name, weights)
        log.info("the reload has ended; models loaded again: %d of %d", len(replaced), len(models))

    def _read_keys_again(self) -> None:
        try:
            self._keys = read_api_keys(self._http)
        except ElbertError as error:
            log.error("the API keys stay as they are: %s", error)  # noqa: TRY400  # in one line
            return
        if self._keys is not None:
            log.info("the API keys of these names are in force: %s", ", ".join(self._keys.names))

    async def _load_again(self, source: ModelSource, old: ServedModel) -> ServedModel | None:
        """Return a model whose engine runs, from the same place; None, with a line in the log, if there is none."""
        service = None
        try:
            classifier = await asyncio.to_thread(source.load)
            is_same_size = classifier.depths == old.service.classifier.depths
            new = self._build(source, classifier, old.metrics if is_same_size else Metrics(classifier))
            service = new.service
            await service.start()
        except BaseException as error:
            if service is not None:
                await service.stop(0)
            if not isinstance(error, Exception):
                raise
            why = " ".join(str(error).split()) or type(error).__name__
            log.error("the model %s stays as it is: %s", source.name, why)  # noqa: TRY400  # in one line
            return None
        return new

    def _build(self, source: ModelSource, classifier: Classifier, metrics: Metrics) -> ServedModel:
        service = Service(classifier, self._settings, observer=metrics, admission=self._admission)
        settings = replace(self._http, model_id=source.model_id, served_model_name=source.name)
        return ServedModel(service, settings, metrics)

    def _build_app(self) -> ASGIApp:
        first, *others = self._models
        return application(
            first.service,
            first.settings,
            first.metrics,
            loopback_only=self._loopback_only,
            others=others,
            keys=self._keys,
        )
