"""Settings on the command line: a flag for each field, and the values from flags, environment and defaults."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from elbert._settings import Setting
from elbert.errors import InputError


def add_flags(parser: Any, settings: Iterable[Setting]) -> None:
    """Add a flag for each setting to a parser or to a group of one.

    Values stay None, or raw text, until :func:`resolve_flags` reads them.
    """
    for setting in settings:
        options: dict[str, Any] = {"metavar": setting.metavar}
        if setting.is_switch:  # the flag alone means true
            options = {"metavar": "true|false", "nargs": "?", "const": "true"}
        if setting.is_repeatable:
            options["action"] = "append"
        default = "" if setting.shown_default is None else f" (default: {setting.shown_default})"
        help_text = (setting.help + default).replace("%", "%%")
        parser.add_argument(*setting.flags, dest=setting.name, help=help_text, **options)


def resolve_flags(
    arguments: argparse.Namespace, environment: Mapping[str, str], settings: Iterable[Setting]
) -> dict[str, str]:
    """Set each setting to the value of its flag, else of its environment variable, else to its default.

    Return the variables that were used, by the names of their settings.

    Raises:
        InputError: a value is not as expected.
    """
    variables = dict[str, str]()
    for setting in settings:
        value, source = getattr(arguments, setting.name), setting.flag
        if value is None and _is_set(setting, environment):
            value, source = environment[setting.variable], setting.variable
            variables[setting.name] = source
        try:
            setattr(arguments, setting.name, setting.default if value is None else _read(setting, value))
        except ValueError as error:
            raise InputError(f"{source}: {error}") from None
    return variables


def _read(setting: Setting, value: str | list[str]) -> Any:
    return setting.read(",".join(value) if isinstance(value, list) else value)


def _is_set(setting: Setting, environment: Mapping[str, str]) -> bool:
    value = environment.get(setting.variable, "")
    return bool(value) and not (setting.is_ignored is not None and setting.is_ignored(value))
