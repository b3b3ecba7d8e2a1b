"""The flags of ``elbert serve``, each also an upper-case environment variable; names are those of TEI."""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert.errors import BundleError, InputError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.serving.http import HttpSettings
    from elbert.serving.service import Service
    from elbert.serving.settings import Settings


@dataclass(frozen=True)
class Flag:
    """``--name``, ``NAME``; ``read`` makes a value of a text, or raises ValueError saying what was expected."""

    name: str
    default: Any
    read: Callable[[str], Any]
    told: str
    metavar: str = "N"
    aliases: tuple[str, ...] = ()
    switch: bool = False  # may stand alone, for true
    many: bool = False  # may be given again

    @property
    def key(self) -> str:
        """Its name in Python, and in lower case in the environment."""
        return self.name.replace("-", "_")


def whole(lowest: int, highest: float = math.inf) -> Callable[[str], int]:
    """Whole numbers of a range."""

    def read(text: str) -> int:
        upto = "" if highest == math.inf else f" to {highest:.0f}"
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if not lowest <= value <= highest:
            raise ValueError(f"{text!r:.80} is no whole number from {lowest}{upto}")
        return value

    return read


def number(lowest: float, highest: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """Numbers of a range; ``above``: without its lower end."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (lowest <= value <= highest and math.isfinite(value)) or (above and value == lowest):
            upto = "" if highest == math.inf else f" to {highest:g}"
            raise ValueError(f"{text!r:.80} is no number {'above' if above else 'from'} {lowest:g}{upto}")
        return value

    return read


def truth(text: str) -> bool:
    """True or false, however people write it."""
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.strip().lower() not in known:
        raise ValueError(f"{text!r:.80} is neither true nor false")
    return known[text.strip().lower()]


def one_of(*words: str) -> Callable[[str], str]:
    """One of some words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r:.80} is none of {', '.join(words)}")
        return text

    return read


def key(text: str) -> str:
    """A key; one read from a file may bring a line's end."""
    if not text.strip():
        raise ValueError("an empty key keeps nobody out; give one, or leave the flag away")
    return text.strip()


def several(text: str) -> list[str]:
    """Words with commas between."""
    return [word.strip() for word in text.split(",") if word.strip()]


FLAGS = (
    Flag("model-id", None, str, "folder or hub id (unsaid: the bundled model)", "M", ("--model",)),
    Flag("revision", None, str, "branch, tag or commit of the hub's repository", "R"),
    Flag("served-model-name", None, str, "what answers call the model", "NAME"),
    Flag("dtype", "auto", one_of("auto", "float32", "bfloat16", "int8"), "auto is the fastest that is harmless", "D"),
    Flag("device", "auto", str, "auto, cpu or cuda", "D"),
    Flag("threads", None, whole(1, 1024), "threads of the model (unsaid: the processor's but one)"),
    Flag("hostname", "127.0.0.1", str, "address to listen on; 0.0.0.0 is every one of this machine", "H", ("--host",)),
    Flag("port", 3000, whole(0, 65535), "port; 0 is any free one"),
    Flag("operating-point", None, str, "policy of requests that name none: an operating point or a spec", "P"),
    Flag("adaptive", None, str, "under load, move along the operating points as far as this one", "MAX"),
    Flag("target-delay", 0.1, number(0, above=True), "seconds that a text may wait before that", "S"),
    Flag("shadow", 0.0, number(0, 1), "share of traffic that also runs to full depth, such as 0.01", "SHARE"),
    Flag("max-concurrent-requests", 512, whole(1), "texts under way; more are refused (429)"),
    Flag("max-batch-tokens", 16384, whole(1), "tokens that share a layer call, at most"),
    Flag("max-batch-requests", None, whole(1), "rows that share a layer call, at most"),
    Flag("max-client-batch-size", 32, whole(1), "texts in a request"),
    Flag("tokenization-workers", 2, whole(1, 256), "threads that tokenise"),
    Flag("auto-truncate", True, truth, "cut texts that are too long, unless a request says otherwise", switch=True),
    Flag("payload-limit", 2_000_000, whole(1), "bytes in a body"),
    Flag("api-key", None, key, "what Authorization: Bearer must bring; API_KEY keeps it out of ps", "KEY"),
    Flag("cors-allow-origin", (), several, "origin whose pages may call; may be given again", "ORIGIN", many=True),
    Flag("json-output", False, truth, "log one JSON object a line, requests too", switch=True),
    Flag(
        "warm-up", 5.0, number(0), "seconds at most, before the first request, to make layer calls of every size", "S"
    ),
    Flag("shutdown-timeout", 30.0, number(0), "seconds to finish what is under way after SIGTERM", "S"),
    Flag("strict", False, truth, "refuse points calibrated with other weights, dtype or length", switch=True),
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """All of them; unsaid ones stay None until :func:`settle`."""
    for flag in FLAGS:
        more: dict[str, Any] = {"metavar": flag.metavar}
        if flag.switch:
            more = {"metavar": "true|false", "nargs": "?", "const": "true"}
        if flag.many:
            more["action"] = "append"
        usual = "" if flag.default in (None, ()) else f" (unsaid: {str(flag.default).lower()})"
        names = [f"--{flag.name}", *flag.aliases]
        parser.add_argument(*names, dest=flag.key, help=flag.told + usual, **more)


def settle(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Every flag gets its value: from the command line, or the environment, or its default.

    Raises:
        InputError: a value is not as expected.
    """
    for flag in FLAGS:
        given, source = getattr(arguments, flag.key), f"--{flag.name}"
        if given is None and _in_environment(flag, environment):
            given, source = environment[flag.key.upper()], flag.key.upper()
        try:
            value = flag.default if given is None else _read(flag, given)
        except ValueError as error:
            raise InputError(f"{source}: {error}") from None
        setattr(arguments, flag.key, value)


def _read(flag: Flag, given: str | list[str]) -> Any:
    return flag.read(",".join(given) if isinstance(given, list) else given)


def _in_environment(flag: Flag, environment: Mapping[str, str]) -> bool:
    value = environment.get(flag.key.upper())
    # Shells and containers set HOSTNAME by themselves: the machine's own name there is nobody's wish.
    return bool(value) and not (flag.key == "hostname" and value == socket.gethostname())


UNFINISHED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes; 0 when all that was accepted was answered, 1 when the time was up."""
    from elbert._optional import require

    for module in ("uvicorn", "starlette", "orjson", "prometheus_client"):  # before the model is loaded
        require(module, "serve")
    settle(arguments, os.environ)
    from elbert.serving.http.server import address_of, bound

    with bound(arguments.hostname, arguments.port) as place:
        from elbert.serving.http import Metrics, application
        from elbert.serving.http.access_log import prepared
        from elbert.serving.http.server import run as serve
        from elbert.serving.service import Service
        from elbert.serving.warmup import leave_out_what_stays, remember_sizes

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
