"""Settings of the server; each field is also a flag of ``elbert serve``, an environment variable and a Ray option."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from elbert._settings import Reader, comma_separated, key, number, one_of, setting, text, truth, whole
from elbert.errors import InputError

MAX_PORT = 65_535
PORT = whole(0, MAX_PORT)
NAMED_MODEL = re.compile(r"([A-Za-z0-9._-]{1,100})=(.+)", re.ASCII | re.DOTALL)
# A folder's name may have commas and equals signs: only a comma before a name separates.
model_list = Reader(
    lambda text: tuple(re.split(r",(?=[A-Za-z0-9._-]{1,100}=)", text)) if text else (), "a folder or hub id, or NAME=M"
)


@dataclass(frozen=True)
class ModelSettings:
    """Which model is loaded, and how it is computed."""

    model_id: tuple[str, ...] = setting(
        (),
        "folder or hub id; several models as NAME=M, repeated: requests name one, and the first answers the others",
        model_list,
        "M",
        default_text="the bundled model",
        aliases=("--model",),
        is_repeatable=True,
    )
    revision: str | None = setting(None, "branch, tag or commit of the hub's repository", text, "R")
    dtype: str = setting(
        "auto",
        "number format; auto is the fastest that keeps the model's predictions",
        one_of("auto", "float32", "bfloat16", "int8"),
        "D",
    )
    device: str = setting("auto", "auto, cpu or cuda", text, "D")
    threads: int | None = setting(
        None, "processor threads of a layer call", whole(1, 1024), default_text="all but one, which HTTP needs"
    )
    max_batch_requests: int | None = setting(
        None, "rows in one layer call, at most", whole(1), default_text="what the device runs best"
    )
    strict: bool = setting(
        False, "reject operating points calibrated with other weights, dtype or maximum length", truth
    )


@dataclass(frozen=True)
class ModelName:
    """A model of ``--model-id``: its name, where it has one, and its folder or hub id (None: the bundled model)."""

    name: str | None
    model: str | None


def read_models(models: Sequence[str]) -> list[ModelName]:
    """Return the models of ``--model-id``, at least one.

    A folder whose name has an equals sign is a folder where it exists; ``NAME=./FOLDER`` is then a name.

    Raises:
        InputError: one of several models has no name, or two have the same.
    """
    found = [_read_model(model) for model in models] or [ModelName(None, None)]
    names = [model.name for model in found]
    has_several = len(found) > 1 or any("," in model and not Path(model).expanduser().exists() for model in models)
    if has_several and None in names:
        raise InputError("several models need names: --model-id NAME=FOLDER for each")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--model-id has two models with the name {twice!r}; each needs its own")
    return found


def _read_model(text: str) -> ModelName:
    named = NAMED_MODEL.fullmatch(text)
    if named is None or Path(text).expanduser().exists():
        return ModelName(None, text)
    return ModelName(named[1], named[2])


def is_machine_name(value: str) -> bool:
    """Whether a value of ``HOSTNAME`` is a name and not an address to listen on."""
    try:
        ip_address(value.strip())
    except ValueError:
        return value.strip().lower() != "localhost"
    return False


@dataclass(frozen=True)
class ProcessSettings:
    """Where the server listens and how it logs."""

    hostname: str = setting(
        "127.0.0.1",
        "address to listen on; 0.0.0.0 is every address of this machine",
        text,
        "H",
        aliases=("--host",),
        # Shells, containers and batch systems set HOSTNAME to a machine's name, even another's: that is no choice.
        is_ignored=is_machine_name,
    )
    port: int = setting(3000, "port; 0 is any free port", PORT)
    unix_socket: str | None = setting(
        None,
        "path of a Unix socket to listen on, instead of an address; its permissions are those of umask",
        text,
        "PATH",
    )
    json_output: bool = setting(False, "log JSON, one object per line", truth)
    access_log: bool | None = setting(
        None, "log a line for each request, without its texts", truth, default_text="on with --json-output"
    )


@dataclass(frozen=True)
class Settings:
    """Limits and behaviour of a :class:`~elbert.serving.service.Service`; durations are in seconds."""

    max_concurrent_requests: int = setting(
        512, "texts in progress at once; more are rejected (429), small requests beside large ones at twice", whole(1)
    )
    max_batch_tokens: int = setting(
        16384, "tokens in one layer call; times the model's depths it bounds the layer-tokens in progress", whole(1)
    )
    max_client_batch_size: int = setting(32, "texts in one request", whole(1))
    operating_point: str | None = setting(
        None,
        "policy of requests that name none: an operating point or a policy spec",
        text,
        "P",
        default_text="the model's default",
    )
    rank_policy: str | None = setting(
        None,
        "policy of rankings that name none, such as outranked(top=10)",
        text,
        "P",
        default_text="that of other requests",
    )
    adaptive: str | None = setting(
        None, "under load, use faster operating points, up to this one", text, "P", default_text="off"
    )
    target_delay: float = setting(
        0.1, "seconds a text may wait for its first layer before a faster point is used", number(0, above=True), "S"
    )
    shadow: float = setting(
        0.0, "share of texts that also run to full depth, to measure changed answers, such as 0.01", number(0, 1), "P"
    )
    shadow_window: int = setting(1000, "latest shadow texts that the measurement covers", whole(1), has_flag=False)
    long: str = setting(
        "cut",
        "texts longer than the model, unless a request decides: cut, windows, or windows(COMBINATION, POLICY) with "
        "mean, maximum or vote; requests for traces, logits or fewer tokens are cut",
        text,
        "L",
    )
    tokenization_workers: int = setting(2, "threads that tokenize", whole(1, 256))
    warm_up: float = setting(
        0.0,
        "seconds, at most, of layer calls of every size before the first request: each size is prepared once",
        number(0),
        "S",
        flag_default=5.0,
    )
    step_limit: float = setting(
        60.0, "seconds after which a layer call counts as stuck", number(0, above=True), "S", has_flag=False
    )
    most_failures: int = setting(
        3, "attempts in a row to rebuild a failed engine before the server is unhealthy", whole(1), has_flag=False
    )
    pause: float = setting(0.5, "seconds between these attempts", number(0), "S", has_flag=False)
    shutdown_timeout: float = setting(30.0, "seconds to finish accepted requests after SIGTERM", number(0), "S")


@dataclass(frozen=True)
class HttpSettings:
    """Limits, access and names of the HTTP application.

    ``model_id`` and ``revision`` are what ``/info`` shows of the model that was loaded.
    """

    model_id: str = "bundled"
    served_model_name: str | None = setting(
        None, "the model's name in responses", text, "NAME", default_text="the model's id"
    )
    revision: str | None = None
    auto_truncate: bool = setting(True, "truncate texts that are too long, unless a request decides", truth)
    payload_limit: int = setting(2_000_000, "bytes in a request body", whole(1))
    body_seconds: float = setting(
        60.0, "seconds within which a request body must arrive", number(0, above=True), "S", has_flag=False
    )
    head_seconds: float = setting(
        30.0,
        "seconds within which the head of a request must arrive, and a client must read some of its answer",
        number(0, above=True),
        "S",
        has_flag=False,
    )
    max_connections: int = setting(
        2048,
        "open connections, fewer where the process may have fewer files; a new one ends the one that is idle longest",
        whole(1),
    )
    allowed_host: tuple[str, ...] = setting(
        (),
        "host name that requests may use, * for any; repeatable",
        comma_separated,
        "NAME",
        default_text="any; only names of this machine where it listens on a loopback address without a key",
        is_repeatable=True,
    )
    api_key: str | None = setting(
        None, "key that clients send as Authorization: Bearer KEY; API_KEY hides it from ps", key, "KEY"
    )
    api_key_file: str | None = setting(
        None,
        "file with a key for each client, a line NAME KEY for each; the log shows the name; read again on SIGHUP",
        text,
        "FILE",
    )
    cors_allow_origin: tuple[str, ...] = setting(
        (),
        "origin whose pages may call from a browser, * for any; repeatable",
        comma_separated,
        "ORIGIN",
        is_repeatable=True,
    )

    @property
    def name(self) -> str:
        """The model's name in responses."""
        return self.served_model_name or self.model_id

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the model that a request may use."""
        return tuple(dict.fromkeys((self.name, self.model_id)))
