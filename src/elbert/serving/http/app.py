"""The HTTP application around a service: routes, middleware, metrics and pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route

from elbert.serving.explorer import Evaluation, model_name
from elbert.serving.http.api_keys import ApiKeys, read_api_keys
from elbert.serving.http.errors import to_routing_error
from elbert.serving.http.handlers import ClassifyHandlers, Endpoint, Handler
from elbert.serving.http.health import StateHandlers
from elbert.serving.http.metrics import Metrics, count_exchange
from elbert.serving.http.middleware import CorsMiddleware, RequestMiddleware, log_exchange
from elbert.serving.http.openapi import ServerFacts, openapi_document
from elbert.serving.http.operations import OPEN_PATHS
from elbert.serving.http.pages import PageHandlers
from elbert.serving.http.schemas.open_inference import VERSION
from elbert.serving.http.served_model import ServedModel, assign_names
from elbert.serving.service import Service
from elbert.serving.settings import HttpSettings


def application(
    service: Service,
    settings: HttpSettings | None = None,
    metrics: Metrics | None = None,
    *,
    loopback_only: bool = False,
    evaluation: Evaluation | None = None,
    others: Sequence[ServedModel] = (),
    keys: ApiKeys | None = None,
) -> Starlette:
    """Return the ASGI application around a service; the caller starts and stops the service.

    ``metrics`` are the service's observer; without them only HTTP is counted. With ``loopback_only`` requests that
    name another host than this machine are rejected, unless the settings allow it. ``evaluation`` has labelled texts
    for the explorer page. ``others`` are further models, which requests name; ``keys`` the accepted API keys, by
    default those of the settings.

    Raises:
        InputError: the file of API keys cannot be used.
    """
    settings = HttpSettings() if settings is None else settings
    metrics = Metrics(service.classifier) if metrics is None else metrics
    models = (ServedModel(service, settings, metrics), *others)
    for model in models:
        model.metrics.watch(model.service)
    keys = read_api_keys(settings) if keys is None else keys

    hosts = None if "*" in settings.allowed_host else settings.allowed_host
    checks_host = hosts is not None and bool(hosts or loopback_only)
    names = assign_names(models)
    by_model = [ClassifyHandlers(model.service, model.settings, names[model]) for model in models]
    by_name = {name: one for one, model in zip(by_model, models, strict=True) for name in names[model]}
    handlers = ClassifyHandlers(service, settings, names[models[0]], by_name) if others else by_model[0]
    classifier = service.classifier
    facts = ServerFacts(
        names[models[0]],
        classifier.labels,
        list(classifier.bundle.points),
        classifier.depths,
        handlers.max_texts,
        has_key=keys is not None,
        checks_host=checks_host,
        has_evaluation=evaluation is not None,
        others=[names[model] for model in others],
        other_labels=[label for model in others for label in model.service.classifier.labels],
    )
    pages = PageHandlers(names, openapi_document(facts), evaluation)
    middleware = [
        Middleware(
            RequestMiddleware,
            keys=keys,
            open_paths=OPEN_PATHS,
            allowed_hosts=frozenset(hosts or ()) if checks_host else None,
            on_end=(partial(count_exchange, {model.settings.name: model.metrics for model in models}), log_exchange),
        )
    ]
    if settings.cors_allow_origin:
        middleware.insert(0, Middleware(CorsMiddleware, origins=settings.cors_allow_origin))
    app = Starlette(
        routes=_routes(handlers, StateHandlers(models), pages, dict(zip(models, by_model, strict=True))),
        middleware=middleware,
        exception_handlers={HTTPException: _raise_routing_error},
    )
    app.router.redirect_slashes = False  # another path is another route: 404
    return app


def explorer_application(service: Service, evaluation: Evaluation | None = None) -> Starlette:
    """Return the application of ``elbert explore``: for this machine only, with labelled texts."""
    settings = HttpSettings(model_id=model_name(service.classifier.bundle.folder.parts))
    return application(service, settings, loopback_only=True, evaluation=evaluation)


class ExactRoute(Route):
    """A route whose path is no pattern: a model's name may hold slashes and braces.

    ``handlers`` are by method; Starlette's own routes would answer 405 for the methods of a second route of this path.
    """

    def __init__(self, path: str, handlers: Mapping[str, Handler]) -> None:
        super().__init__("/", Endpoint(handlers), methods=list(handlers))
        self.path = path
        self.path_regex = re.compile(re.escape(path) + r"\Z")


def _routes(
    classify: ClassifyHandlers,
    state: StateHandlers,
    pages: PageHandlers,
    models: Mapping[ServedModel, ClassifyHandlers],
) -> list[ExactRoute]:
    table: dict[str, dict[str, Handler]] = {
        "/v1/classify": {"POST": classify.classify},  # the most frequent ones first: routes are tried in order
        "/predict": {"POST": classify.predict},
        "/": {"POST": classify.root, "GET": pages.explorer},
        "/classify": {"POST": classify.classify},
        "/rerank": {"POST": classify.rerank},
        "/v1/rerank": {"POST": classify.rerank_documents},
        "/invocations": {"POST": classify.root},
        "/v1/models": {"GET": state.models},
        "/health": {"GET": state.health},
        "/ping": {"GET": state.health},
        "/ready": {"GET": state.ready},
        "/info": {"GET": state.info},
        "/metrics": {"GET": state.metrics},
        "/docs": {"GET": pages.docs},
        "/openapi.json": {"GET": pages.document},
        "/explorer/model.json": {"GET": pages.model},
        "/explorer/evaluation.json": {"GET": pages.evaluation},
        "/v2": {"GET": state.server},
        "/v2/health/live": {"GET": state.health},
        "/v2/health/ready": {"GET": state.ready},
    }
    for model, handlers in models.items():
        name, own = model.settings.name, StateHandlers((model,))
        # In the protocol a path may name the version.
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{VERSION}"):
            table |= {
                f"{path}/infer": {"POST": handlers.infer},
                path: {"GET": own.model},
                f"{path}/ready": {"GET": own.ready},
            }
        if len(models) > 1:  # clients whose requests have no field for the model
            table |= {
                f"/models/{name}": {"POST": handlers.root},
                f"/models/{name}/predict": {"POST": handlers.predict},
                f"/models/{name}/rerank": {"POST": handlers.rerank},
                f"/models/{name}/info": {"GET": own.info},
            }
    return [ExactRoute(path, handlers) for path, handlers in table.items()]


async def _raise_routing_error(request: Request, error: Exception) -> Any:
    # Raised, not answered: one place turns errors into answers, counts and logs them.
    if not isinstance(error, HTTPException):
        raise error
    raise to_routing_error(error, request.scope["path"])
