"""Optional packages, each with the command that installs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from elbert.errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra brings it.

    Raises:
        MissingExtra: the module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(f"this needs {module.split('.')[0]}: pip install 'elbert[{extra}]'") from error
