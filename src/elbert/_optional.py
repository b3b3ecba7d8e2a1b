"""Import of optional packages, with an error that shows the command to install them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from elbert.errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """Import and return ``module``, which the extra ``extra`` of elbert installs.

    Raises:
        MissingExtra: the package is not installed. If a dependency of the package is missing, its own error is raised.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(f"this needs {module.split('.')[0]}: pip install 'elbert[{extra}]'") from error
