"""Reading the files of a model folder, which can come from anywhere: only regular files, and only up to a size."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from elbert._display import quote_error
from elbert.errors import BundleError

RESTORE = "download or save it again"
MAX_JSON_BYTES = 32 << 20  # a config.json with 100,000 labels has 5 MB
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
MAX_TOKENIZER_BYTES = 256 << 20  # the largest vocabularies in use need 40 MB


def read_json(file: Path, *, what: str = "JSON", remedy: str = RESTORE, absent: str | None = None) -> dict[str, Any]:
    """Return the object in a JSON file of at most :data:`MAX_JSON_BYTES`.

    Messages call its contents ``what``; ``absent`` is the remedy if there is no file.

    Raises:
        BundleError: the file is missing, is no regular file, is too large, or holds no JSON object, or a text in it
            has half of a surrogate pair.
    """
    try:
        text = read_text(file, remedy=remedy, absent=absent)
        values = json.loads(text)
        if SURROGATE.search(text):
            # json reads half of a surrogate pair as a character, which no library and no output can encode.
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file}: not readable as {what} ({quote_error(error)}); {remedy}") from error
    if not isinstance(values, dict):
        raise BundleError(
            f"{file}: not readable as {what}: expected a JSON object, found {type(values).__name__}; {remedy}"
        )
    return values


def read_text(file: Path, *, remedy: str = RESTORE, absent: str | None = None, max_bytes: int = MAX_JSON_BYTES) -> str:
    """Return the text of a UTF-8 file, without a byte order mark.

    Raises:
        BundleError: the file is missing, is no regular file, is too large, or cannot be read.
    """
    check_file(file, max_bytes, remedy=remedy, absent=absent)
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise BundleError(f"{file}: not readable ({quote_error(error)}); {remedy}") from error


def check_file(file: Path, max_bytes: int, *, remedy: str = RESTORE, absent: str | None = None) -> None:
    """Check that ``file`` is a regular file of at most ``max_bytes``: a pipe would block, a device never ends.

    Raises:
        BundleError: it is not.
    """
    try:
        if not file.exists():
            raise BundleError(f"{file}: missing; {absent or remedy}")
        if not file.is_file():
            raise BundleError(f"{file}: not a regular file; {remedy}")
        size = file.stat().st_size
    except OSError as error:
        raise BundleError(f"{file}: not readable ({error.strerror or error}); {remedy}") from error
    if size > max_bytes:
        raise BundleError(f"{file}: {size:,} bytes, expected at most {max_bytes:,}; {remedy}")
