"""``elbert serve``: the classifier behind HTTP, for existing clients and new ones."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from elbert.cli.serve_flags import add_flags, settle
from elbert.errors import BundleError, InputError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.serving.http import HttpSettings
    from elbert.serving.service import Service
    from elbert.serving.settings import Settings

UNFINISHED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes; 0 when all that was accepted was answered, 1 when the time was up."""
    from elbert._extras import require

    for module in ("uvicorn", "starlette", "orjson", "prometheus_client"):  # before the model is loaded
        require(module, "serve")
    settle(arguments, os.environ)
    from elbert.serving.http.running import address_of, bound

    with bound(arguments.hostname, arguments.port) as place:
        from elbert.serving.http import Metrics, application
        from elbert.serving.http.logs import prepared
        from elbert.serving.http.running import run as serve
        from elbert.serving.service import Service
        from elbert.serving.warming import leave_out_what_stays, remember_sizes

        prepared(sys.stderr, as_json=arguments.json_output)
        http = http_settings(arguments)
        remember_sizes()
        classifier = load(arguments)
        metrics = Metrics(classifier)
        service = Service(classifier, settings(arguments), observer=metrics)
        app = application(service, http, metrics)
        leave_out_what_stays()
        finished = serve(service, app, place, lambda: announce(arguments, service, address_of(place), http.name))
    if not finished:
        sys.stderr.write(f"elbert: not all was finished within --shutdown-timeout {arguments.shutdown_timeout:g}\n")
    return 0 if finished else UNFINISHED


def load(arguments: argparse.Namespace) -> Classifier:
    """The classifier to serve."""
    from elbert.classifier import Classifier

    return Classifier.load(
        located(arguments.model_id, arguments.revision),
        arguments.operating_point,
        dtype=arguments.dtype,
        device=arguments.device,
        threads=threads() if arguments.threads is None else arguments.threads,
        max_rows=arguments.max_batch_requests,
        strict=arguments.strict,
    )


def threads() -> int:
    """All of torch's but one, which the event loop needs: a layer call waits for the slowest of its threads."""
    import torch

    return max(1, torch.get_num_threads() - 1)


def located(model: str | None, revision: str | None) -> str | None:
    """The model, at a revision of the hub's repository if one is named.

    Raises:
        InputError: a folder has no revisions.
        BundleError: the hub does not give it.
    """
    if revision is None:
        return model
    if model is None or Path(model).expanduser().exists():
        raise InputError("--revision is for a model on the hub; a folder is served as it is")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from elbert.bundle.folder import WANTED

    try:
        return snapshot_download(model, revision=revision, allow_patterns=WANTED)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise BundleError(
            f"{model!r} at revision {revision!r}: the hub did not give it ({type(error).__name__}); check the spelling"
        ) from error


def settings(arguments: argparse.Namespace) -> Settings:
    """The service's settings."""
    from elbert.serving.settings import Settings

    return Settings(
        max_concurrent_requests=arguments.max_concurrent_requests,
        max_batch_tokens=arguments.max_batch_tokens,
        max_client_batch_size=arguments.max_client_batch_size,
        operating_point=arguments.operating_point,
        adaptive=arguments.adaptive,
        target_delay=arguments.target_delay,
        shadow=arguments.shadow,
        tokenization_workers=arguments.tokenization_workers,
        warm_up=arguments.warm_up,
        shutdown_timeout=arguments.shutdown_timeout,
    )


def http_settings(arguments: argparse.Namespace) -> HttpSettings:
    """The HTTP side's settings."""
    from elbert.serving.http import HttpSettings

    return HttpSettings(
        model_id=arguments.model_id or "bundled",
        served_model_name=arguments.served_model_name,
        revision=arguments.revision,
        auto_truncate=arguments.auto_truncate,
        payload_limit=arguments.payload_limit,
        api_key=arguments.api_key,
        cors_allow_origin=tuple(arguments.cors_allow_origin),
    )


def announce(arguments: argparse.Namespace, service: Service, address: str, name: str) -> None:
    """One line, when requests are taken."""
    told = service.info()
    if arguments.json_output:
        about = {"message": "serving", "address": address, "model": name, "operating_point": told["operating_point"]}
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": "info"} | about)
    else:
        shown = name if name.isprintable() else ascii(name)
        line = f"serving {shown} at {address} (operating point {told['operating_point']}; Ctrl-C ends it)"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
