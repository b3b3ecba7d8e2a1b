"""Copies of a model folder: to another folder, and to the Hugging Face hub."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from elbert._atomic import write_error
from elbert.bundle.folder import bundled_model
from elbert.errors import InputError

LEFT_OUT = (".*", "checkpoint-*", "runs")  # of a folder that training wrote
OFFLINE = "check the name, the network and the login (hf auth login)"


class TemporaryFolder:
    """A folder that exists as long as this object, or this process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="elbert-"))
        self._end = weakref.finalize(self, _remove, self.path, os.getpid())


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not where a process that was forked ends
        shutil.rmtree(folder, ignore_errors=True)


def copy_model(folder: Path, output: Path) -> None:
    """Copy the files of a model, without checkpoints, into a new folder, which appears when all are there.

    Raises:
        InputError: the folder exists and is not empty, or cannot be written.
    """
    check_new_folder(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".partial-") as partial:
            copy = Path(partial) / output.name
            _copy_files(folder, copy)
            if output.exists():
                output.rmdir()  # it is empty
            copy.rename(output)
    except OSError as error:
        raise write_error(output, error) from error


def _copy_files(folder: Path, copy: Path) -> None:
    """Copy a folder up to the first file that fails: ``copytree`` goes on, and its error lists every file.

    Only the contents are copied: permissions of a read-only installation would make the copy read-only.
    """
    copy.mkdir()
    names = [entry.name for entry in folder.iterdir()]
    for name in sorted({*names} - shutil.ignore_patterns(*LEFT_OUT)(str(folder), names)):
        copy_entry = _copy_files if (folder / name).is_dir() else shutil.copyfile
        copy_entry(folder / name, copy / name)


def list_files(folder: Path) -> list[Path]:
    """Return the files of a model, without those in folders and hidden ones."""
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def check_new_folder(output: Path) -> None:
    """Check that a folder does not exist yet, or is empty.

    Raises:
        InputError: it exists.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"the folder to write is {output}, which exists already; name a new folder")


def is_shared(folder: Path) -> bool:
    """Whether a model's folder is not the user's own: the bundled model, or the hub's cache."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return any(folder.absolute().is_relative_to(Path(shared).absolute()) for shared in (bundled_model(), HF_HUB_CACHE))


def open_repository(name: str, *, private: bool | None = None, token: str | None = None) -> str:
    """Create the repository of the hub if it does not exist yet, and return its full name.

    Raises:
        InputError: the hub cannot be reached, or rejects the name or the login.
    """
    from huggingface_hub import HfApi

    try:
        found: Any = HfApi(token=token).create_repo(name, private=private, exist_ok=True)
    except Exception as error:  # the errors of the network, of the hub and of names have no common class
        raise _describe(name, error) from error
    return str(found.repo_id)


def push_folder(folder: Path, repository: str, *, token: str | None = None, message: str = "Upload a model") -> str:
    """Upload the files of a model, without checkpoints, to a repository of the hub; return its address.

    Raises:
        InputError: the upload fails.
    """
    from huggingface_hub import HfApi

    ignored = [pattern for name in LEFT_OUT for pattern in (name, f"{name}/**")]
    try:
        HfApi(token=token).upload_folder(
            repo_id=repository, folder_path=os.fspath(folder), commit_message=message, ignore_patterns=ignored
        )
    except Exception as error:
        raise _describe(repository, error) from error
    return f"https://huggingface.co/{repository}"


def _describe(name: str, error: Exception) -> InputError:
    what = " ".join(str(error).split())[:200]
    return InputError(f"{name!r:.80}: the hub cannot be written to ({type(error).__name__}: {what}); {OFFLINE}")
