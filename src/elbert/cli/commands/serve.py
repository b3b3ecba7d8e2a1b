"""``elbert serve``: start the HTTP server. Each flag is also an upper-case environment variable, with TEI's names."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from elbert._display import clean_line
from elbert._settings import Description, build_settings, describe, settings_of
from elbert.cli.settings_flags import add_flags, resolve_flags
from elbert.errors import BundleError, InputError, PolicyError
from elbert.serving.settings import HttpSettings, ModelSettings, ProcessSettings, Settings, is_machine_name

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.serving.service import Service

GROUPS = {
    "model": ModelSettings,
    "requests and exits": Settings,
    "HTTP": HttpSettings,
    "process": ProcessSettings,
}
FLAGS = tuple(setting for setting in settings_of(*GROUPS.values()) if setting.has_flag)
REQUIRED = ("uvicorn", "httptools", "starlette", "msgspec", "prometheus_client")
UNFINISHED = 1  # exit status where accepted requests were cut off at the end


def describe_flags() -> Iterator[Description]:
    """Yield a row of the reference documentation for each setting, those without a flag included."""
    return describe(*GROUPS.values())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    for title, kind in GROUPS.items():
        group = parser.add_argument_group(title)
        add_flags(group, [setting for setting in settings_of(kind) if setting.has_flag])


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; return 0 if every accepted request was answered, 1 if the shutdown time ran out."""
    from elbert._optional import require

    for module in REQUIRED:  # before the model is loaded
        require(module, "serve")
    report_machine_name(arguments.hostname, os.environ.get("HOSTNAME", ""))
    variables = resolve_flags(arguments, os.environ, FLAGS)
    with name_variables(variables):
        finished = serve(arguments, variables)
    if not finished:
        sys.stderr.write(
            f"elbert: some accepted requests were not finished within --shutdown-timeout "
            f"{arguments.shutdown_timeout:g}\n"
        )
    return 0 if finished else UNFINISHED


def report_machine_name(flag: str | None, name: str) -> None:
    """Report that ``HOSTNAME`` is ignored, unless it only has this machine's own name, as in every shell."""
    own = socket.gethostname().partition(".")[0].lower()
    if flag is None and name and is_machine_name(name) and name.partition(".")[0].lower() != own:
        sys.stderr.write(f"elbert: HOSTNAME is the name of a machine, {name!a:.80}, and ignored; see --hostname\n")


@contextmanager
def name_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Name the environment variables that settings come from in errors, which name flags."""
    try:
        yield
    except (InputError, PolicyError, BundleError) as error:
        named = ", ".join(name for name in variables.values() if name not in str(error))
        if not named:
            raise
        raise InputError(f"{error} (set in the environment: {named})") from error


def serve(arguments: argparse.Namespace, variables: Mapping[str, str]) -> bool:
    """Load the model and serve until a signal; return whether every accepted request was answered."""
    from elbert.serving.http.server import bind_socket, is_loopback, server_url
    from elbert.serving.http.server import run as run_server

    with bind_socket(arguments.hostname, arguments.port, variables) as place:
        from elbert.serving.http import Metrics, application
        from elbert.serving.http.logs import configure_logging
        from elbert.serving.service import Service
        from elbert.serving.warmup import enlarge_primitive_cache, freeze_objects

        configure_logging(sys.stderr, as_json=arguments.json_output)
        http = http_settings(arguments)
        enlarge_primitive_cache()
        classifier = load_model(arguments)
        metrics = Metrics(classifier)
        service = Service(classifier, service_settings(arguments), observer=metrics)
        # With a key, or where others can connect, what a page of another origin could read is protected otherwise.
        loopback_only = http.api_key is None and is_loopback(place)
        app = application(service, http, metrics, loopback_only=loopback_only)
        freeze_objects()
        return run_server(service, app, place, lambda: announce(arguments, service, server_url(place), http.name), http)


def service_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the service."""
    settings: Settings = build_settings(Settings, vars(arguments))
    return settings


def http_settings(arguments: argparse.Namespace) -> HttpSettings:
    """The settings of the HTTP application."""
    settings: HttpSettings = build_settings(
        HttpSettings, vars(arguments), model_id=arguments.model_id or "bundled", revision=arguments.revision
    )
    return settings


def load_model(arguments: argparse.Namespace) -> Classifier:
    """Load the classifier to serve."""
    from elbert.classifier import Classifier

    return Classifier.load(
        resolve_model(arguments.model_id, arguments.revision),
        arguments.operating_point,
        dtype=arguments.dtype,
        device=arguments.device,
        threads=default_threads() if arguments.threads is None else arguments.threads,
        max_rows=arguments.max_batch_requests,
        strict=arguments.strict,
    )


def default_threads() -> int:
    """All of torch's threads but one, for the event loop: a layer call waits for the slowest of its threads."""
    import torch

    from elbert.model.isolation import limit_threads

    return max(1, (limit_threads() or torch.get_num_threads()) - 1)


def resolve_model(model: str | None, revision: str | None) -> str | None:
    """The model's folder or hub id; a revision is downloaded, and its folder returned.

    Raises:
        InputError: a revision is named for a local folder or the bundled model.
        BundleError: the hub does not have the revision.
    """
    if revision is None:
        return model
    if model is None or Path(model).expanduser().exists():
        raise InputError("--revision is for models on the hub; a local folder has no revisions, remove the flag")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from elbert.bundle.folder import DOWNLOADED_FILES

    try:
        return snapshot_download(model, revision=revision, allow_patterns=DOWNLOADED_FILES)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise BundleError(
            f"{model!r} at revision {revision!r}: download from the hub failed ({type(error).__name__}); "
            "check the spelling"
        ) from error


def announce(arguments: argparse.Namespace, service: Service, address: str, name: str) -> None:
    """Print one line when the server accepts requests."""
    point = service.info()["operating_point"]
    if arguments.json_output:
        fields = {"message": "serving", "address": address, "model": name, "operating_point": point}
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": "info"} | fields)
    else:
        line = clean_line(f"serving {name} at {address} (operating point {point}; Ctrl-C stops it)")
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
