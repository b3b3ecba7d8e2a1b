"""``elbert serve``: start the HTTP server. Each flag is also an upper-case environment variable, with TEI's names."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from elbert._display import clean_line
from elbert._settings import Description, build_settings, describe, settings_of
from elbert.cli.settings_flags import add_flags, resolve_flags
from elbert.cli.streams import print_note
from elbert.errors import BundleError, ElbertError, InputError, PolicyError
from elbert.serving.settings import HttpSettings, ModelSettings, ProcessSettings, Settings, is_machine_name, read_models

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.serving.http.model_set import ModelSet, ModelSource

GROUPS = {
    "model": ModelSettings,
    "requests and exits": Settings,
    "HTTP": HttpSettings,
    "process": ProcessSettings,
}
FLAGS = tuple(setting for setting in settings_of(*GROUPS.values()) if setting.has_flag)
REQUIRED = ("uvicorn", "httptools", "starlette", "msgspec", "prometheus_client")
BUNDLED = "bundled"
SILENCE = 2.0  # seconds
FAILED = 2  # exit status after an error
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
    if arguments.unix_socket is not None and not (arguments.hostname is None is arguments.port):
        raise InputError("--unix-socket listens on a path, --hostname and --port on an address: give one of them")
    hostname = arguments.hostname
    variables = resolve_flags(arguments, os.environ, FLAGS)
    report = report_json if arguments.json_output else print_note
    report_machine_name(hostname, os.environ.get("HOSTNAME", ""), report)
    try:
        with name_variables(variables):
            finished = serve(arguments, variables)
    except ElbertError as error:
        if not arguments.json_output:
            raise
        report_json(str(error), "error")
        return FAILED
    if not finished:
        limit = f"--shutdown-timeout {arguments.shutdown_timeout:g}"
        report(f"some accepted requests were not finished within {limit}")
    return 0 if finished else UNFINISHED


def report_json(message: str, level: str = "warning", fields: Mapping[str, object] | None = None) -> None:
    """Write a line to the log whose lines are JSON."""
    from elbert.serving.http.logs import to_json_line

    sys.stderr.write(to_json_line(level, message, __name__, fields or {}, time.time()) + "\n")
    sys.stderr.flush()


def report_machine_name(flag: str | None, name: str, report: Callable[[str], None] = print_note) -> None:
    """Report that ``HOSTNAME`` is ignored, unless it only has this machine's own name, as in every shell."""
    own = socket.gethostname().partition(".")[0].lower()
    if flag is None and name and is_machine_name(name) and name.partition(".")[0].lower() != own:
        report(f"HOSTNAME is the name of a machine, {name!a:.80}, and ignored; see --hostname")


@contextmanager
def reported_if_slow(message: str, report: Callable[[str], None], seconds: float = SILENCE) -> Iterator[None]:
    """Report what happens where it takes longer; an error that comes before is then the only line."""
    timer = threading.Timer(seconds, report, [message])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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
    """Load the models and serve until a signal; return whether every accepted request was answered."""
    from elbert.serving.http.logs import logging_to
    from elbert.serving.http.server import bind_socket, bind_unix_socket, is_loopback, server_url
    from elbert.serving.http.server import run as run_server

    sources = find_sources(arguments)
    path = arguments.unix_socket
    with (
        logging_to(sys.stderr, as_json=arguments.json_output, access=arguments.access_log),
        bind_socket(arguments.hostname, arguments.port, variables)
        if path is None
        else bind_unix_socket(Path(path).expanduser()) as place,
    ):
        from elbert.serving.http.model_set import ModelSet
        from elbert.serving.warmup import enlarge_primitive_cache, freeze_objects

        http = http_settings(arguments)
        enlarge_primitive_cache()
        # With a key, or where others can connect, what a page of another origin could read is protected otherwise.
        loopback_only = not (http.api_key or http.api_key_file) and is_loopback(place)
        names = ", ".join(source.name for source in sources)
        report = partial(report_json, level="info") if arguments.json_output else print_note
        with reported_if_slow(f"loading {names}; a line says when requests are accepted", report):
            models = ModelSet(sources, service_settings(arguments), http, loopback_only=loopback_only)
        freeze_objects()
        return run_server(
            models,
            models.app,
            place,
            lambda: announce(arguments, models, server_url(place)),
            http,
            models.request_reload,
        )


def find_sources(arguments: argparse.Namespace) -> list[ModelSource]:
    """Return where each model comes from, and its name in responses.

    Raises:
        InputError: several models are not named, or a flag is for one model only.
    """
    from elbert.serving.http.model_set import ModelSource

    models = read_models(arguments.model_id)
    if models[0].name is not None and arguments.served_model_name is not None:
        raise InputError("--served-model-name is for a model without a name; --model-id NAME=FOLDER has one")
    if len(models) > 1 and arguments.revision is not None:
        raise InputError("--revision is for one model; download the revisions, and name their folders")
    return [
        ModelSource(
            model.name or arguments.served_model_name or model.model or BUNDLED,
            model.model or BUNDLED,
            partial(load_model, arguments, model.model),
        )
        for model in models
    ]


def service_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the service."""
    settings: Settings = build_settings(Settings, vars(arguments))
    return settings


def http_settings(arguments: argparse.Namespace) -> HttpSettings:
    """The settings of the HTTP application."""
    settings: HttpSettings = build_settings(HttpSettings, vars(arguments), revision=arguments.revision)
    return settings


def load_model(arguments: argparse.Namespace, model: str | None) -> Classifier:
    """Load a classifier to serve."""
    from elbert.classifier import Classifier

    return Classifier.load(
        resolve_model(model, arguments.revision),
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
    if model in (None, BUNDLED) or Path(model).expanduser().exists():
        raise InputError("--revision is for models on the hub; a local folder has no revisions, remove the flag")
    from elbert.bundle.folder import download

    return download(model, revision)


def announce(arguments: argparse.Namespace, models: ModelSet, address: str) -> None:
    """Print one line when the server accepts requests: the models, each with its operating point."""
    points = {name: service.info()["operating_point"] for name, service in models.services.items()}
    first = next(iter(points))
    if arguments.json_output:  # a line of the log, and so on its stream
        fields = {"address": address, "model": first, "operating_point": points[first], "models": points}
        report_json("serving", "info", fields)
        return
    chosen = ", ".join(f"{name}: {point}" for name, point in points.items()) if len(points) > 1 else points[first]
    what = "operating points" if len(points) > 1 else "operating point"
    sys.stdout.write(clean_line(f"serving {', '.join(points)} at {address} ({what} {chosen}; Ctrl-C stops it)") + "\n")
    sys.stdout.flush()
