"""The flags of ``elbert serve``, each also an upper-case environment variable; names are those of TEI."""

from __future__ import annotations

import argparse
import math
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from elbert.errors import InputError


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
