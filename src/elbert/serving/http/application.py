"""The application: the service behind HTTP."""

from __future__ import annotations

import orjson

from elbert.bundle.folder import read_json
from elbert.serving.http.access_log import journal
from elbert.serving.http.classify import Classify
from elbert.serving.http.cors import Cors
from elbert.serving.http.health import State
from elbert.serving.http.metrics import Metrics
from elbert.serving.http.middleware import Asgi, Exchange, Front
from elbert.serving.http.open_inference import OpenInference
from elbert.serving.http.openapi.document import About, document
from elbert.serving.http.pages import Pages, docs_page
from elbert.serving.http.routes import Routes
from elbert.serving.http.scoring import Scoring
from elbert.serving.http.settings import HttpSettings
from elbert.serving.service import Service

# What machines look at without a key, and pages that hold nothing: a browser cannot bring one when it opens them.
OPEN = ("/health", "/ready", "/ping", "/metrics", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready")


def application(service: Service, settings: HttpSettings | None = None, metrics: Metrics | None = None) -> Asgi:
    """An ASGI application around a service, which somebody else starts and stops.

    ``metrics`` are the service's observer; unsaid, metrics tell of HTTP only.
    """
    settings = HttpSettings() if settings is None else settings
    metrics = Metrics(service.classifier) if metrics is None else metrics
    metrics.watch(service)

    def ended(exchange: Exchange) -> None:
        metrics.ended(exchange)
        journal(exchange)

    front = Front(routes(service, settings, metrics), settings.api_key, frozenset(OPEN), ended)
    return Cors(front, settings.cors_allow_origin) if settings.cors_allow_origin else front


def routes(service: Service, settings: HttpSettings, metrics: Metrics) -> Routes:
    """All of them."""
    classifier = service.classifier
    bundle = classifier.bundle
    scoring = Scoring(bundle.config, read_json(bundle.folder / "config.json").get("problem_type"))
    classify, state = Classify(service, settings, scoring), State(service, settings, metrics)
    told = document(
        About(
            settings.name,
            classifier.labels,
            list(bundle.points),
            classifier.depths,
            classify.most,
            settings.api_key is not None,
        )
    )
    pages = Pages(classifier, docs_page(told), orjson.dumps(told))
    return Routes(
        {
            "/predict": {"POST": classify.predict},
            "/v1/classify": {"POST": classify.ours},
            "/": {"POST": classify.root, "GET": pages.explorer},
            "/invocations": {"POST": classify.root},
            "/health": {"GET": state.health},
            "/ping": {"GET": state.health},
            "/ready": {"GET": state.ready},
            "/info": {"GET": state.info},
            "/metrics": {"GET": state.metrics},
            "/docs": {"GET": pages.docs},
            "/openapi.json": {"GET": pages.document},
            "/explorer/model.json": {"GET": pages.model},
            "/explorer/evaluation.json": {"GET": pages.evaluation},
            **OpenInference(classify, state, settings.name, classifier.labels).table(),
        }
    )
