"""API keys: one from a setting, and any number from a file, each with a name that the log may show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path

from elbert._model_files import read_text
from elbert.errors import BundleError, InputError
from elbert.serving.settings import HttpSettings

SETTING_NAME = "api-key"  # the name of the key that is a setting
MAX_FILE = 1 << 20  # bytes
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)
KEY = re.compile(r"[\x21-\x7e]{1,512}", re.ASCII)
FORM = "expected a name and a key, separated by a space"


class ApiKeys:
    """The accepted keys, by name."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = {name: f"Bearer {key}".encode() for name, key in keys.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys."""
        return tuple(self._keys)

    def find_name(self, authorization: bytes) -> str | None:
        """Return the name of the key in a header ``Authorization``; None if it is no accepted key.

        All keys are compared, each in a time that does not depend on where it differs.
        """
        found = None
        for name, expected in self._keys.items():
            if compare_digest(authorization, expected):
                found = name
        return found


def read_api_keys(settings: HttpSettings) -> ApiKeys | None:
    """Return the keys of the settings and of their file; None if there are none, so that every client may call.

    Raises:
        InputError: the file cannot be read, has no keys, or a line is not as expected. No message shows a key.
    """
    keys = {} if settings.api_key is None else {SETTING_NAME: settings.api_key}
    if settings.api_key_file is not None:
        keys |= read_key_file(Path(settings.api_key_file).expanduser(), keys)
    return ApiKeys(keys) if keys else None


def read_key_file(path: Path, others: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of a file by name: one ``NAME KEY`` a line; blank lines and those that begin with # are skipped.

    Raises:
        InputError: it cannot be read, has no keys, or a name or key is not valid or occurs twice.
    """
    try:
        content = read_text(path, remedy=f"{FORM} on each line", max_bytes=MAX_FILE)
    except BundleError as error:
        raise InputError(f"--api-key-file {error}") from None
    keys = dict[str, str]()
    for number, line in enumerate(content.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        where = f"--api-key-file {path}:{number}"
        if len(fields) != 2 or not NAME.fullmatch(fields[0]) or not KEY.fullmatch(fields[1]):
            raise InputError(f"{where}: {FORM}; a name has letters, digits and . _ @ -, a key visible ASCII characters")
        name, key = fields
        if name in keys or name in others or key in (*keys.values(), *others.values()):
            raise InputError(f"{where}: the name or the key of {name!r} occurs twice; each client has its own")
        keys[name] = key
    if not keys:
        raise InputError(f"--api-key-file {path}: no keys; {FORM} on each line")
    return keys
