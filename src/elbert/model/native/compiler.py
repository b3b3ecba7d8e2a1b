"""Compiles ``kernels.c`` for this CPU, once per user, and loads it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from elbert.model.cpu import processor_flags

SOURCE = Path(__file__).with_name("kernels.c")
TEXTS = tuple(SOURCE.with_name(name) for name in ("kernels.c", "attend.h", "tokens.h", "lanes.h"))
NEEDED = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"})
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-fno-strict-aliasing", "-fno-math-errno", "-fPIC")
PATIENCE = 120  # seconds; it takes two


class Unavailable(Exception):
    """There are no kernels here; says why in one line."""


def library() -> ctypes.CDLL:
    """The library, out of the user's cache or compiled into it.

    Raises:
        Unavailable: no AVX-512, no compiler, or it could not be compiled or loaded.
    """
    cpu = processor_flags()
    if lacking := NEEDED - cpu:
        raise Unavailable(f"the CPU lacks {', '.join(sorted(lacking))}")
    compiler, version = _compiler()
    try:
        # Whatever the code depends on is in its name, so nothing stale is loaded, nor what another machine built.
        parts = (*(text.read_text("utf-8") for text in TEXTS), shlex.join(compiler), version, *FLAGS, *sorted(cpu))
        name = f"kernels-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}.so"
        with _folder() as folder:
            if not (folder / name).exists():
                _compile(compiler, folder, name)
            # Nothing is linked but the C library: OpenMP's calls are answered by torch's own runtime (see kernels.c).
            return ctypes.CDLL(str(folder / name))
    except OSError as error:
        raise Unavailable(f"the library cannot be kept or loaded: {_one_line(str(error))}") from error


def _compiler() -> tuple[list[str], str]:
    """The command of the first compiler that answers, and its version."""
    named = os.environ.get("CC", "")
    for words in [shlex.split(named)] if named.strip() else [[name] for name in COMPILERS]:
        if shutil.which(words[0]):
            return words, _run([*words, "--version"])
    raise Unavailable(f"no C compiler: none of {', '.join([named] if named else COMPILERS)} is installed")


def _compile(compiler: Sequence[str], folder: Path, name: str) -> None:
    """Into a folder of its own, then renamed: another process that builds it meanwhile renames an equal file."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        made, linked = f"{place}/kernels.o", f"{place}/{name}"
        _run([*compiler, *FLAGS, "-fopenmp", "-c", str(SOURCE), "-o", made])
        # Linked without -fopenmp, which would bring a second runtime with a second pool of threads.
        _run([*compiler, "-shared", made, "-o", linked])
        os.replace(linked, folder / name)


def _run(command: Sequence[str]) -> str:
    """What a command prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"the compiler does not run: {_one_line(str(error))}") from error
    if done.returncode:
        raise Unavailable(f"{command[0]} failed: {_one_line(done.stderr)}")
    return done.stdout


@contextmanager
def _folder() -> Iterator[Path]:
    """The user's cache where it can be written and trusted; otherwise one for this process, gone once it is loaded."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "elbert"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        trusted = _private(cache) and os.access(cache, os.W_OK)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        trusted = False
    if trusted:
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="elbert-") as private:
        yield Path(private)


def _private(folder: Path) -> bool:
    """Whether no other user can put a library there: code from it runs as this user."""
    about = folder.lstat()
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o022


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no reason given")
