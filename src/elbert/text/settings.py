"""What ``tokenizer_config.json`` and its neighbours say about a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elbert.errors import BundleError

CONFIG_FILE = "tokenizer_config.json"
SPECIALS_FILE = "special_tokens_map.json"


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of the tokenizer in ``folder``, empty if there are none.

    Raises:
        BundleError: a settings file is not a JSON object.
    """
    return {**_read(folder / SPECIALS_FILE), **_read(folder / CONFIG_FILE)}


def token_text(token: object) -> str | None:
    """Return the text of a special token, which these files write as a string or as ``{"content": …}``."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None


def sane_length(settings: Mapping[str, Any]) -> int | None:
    """Return ``model_max_length`` where it means something; transformers writes 10**30 for "no limit"."""
    length = settings.get("model_max_length")
    usable = isinstance(length, int) and not isinstance(length, bool) and 0 < length < 10**9
    return int(length) if usable and length is not None else None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON ({error}); restore it, or delete it") from error
    if not isinstance(settings, dict):
        raise BundleError(f"{path}: expected a JSON object, found {type(settings).__name__}")
    return settings
