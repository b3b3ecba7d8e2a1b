"""Compiles ``kernels.c`` for this CPU, once per user, and loads the library."""

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
SOURCES = tuple(SOURCE.with_name(name) for name in ("kernels.c", "attend.h", "tokens.h", "lanes.h"))
REQUIRED_FLAGS = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"})
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-fno-strict-aliasing", "-fno-math-errno", "-fPIC")
DIGEST_SIZE = hashlib.sha256().digest_size
TIMEOUT = 120  # seconds for one compiler command; compiling usually takes two


class Unavailable(Exception):
    """The kernels are not available on this machine; the message is the reason, in one line."""


def library() -> ctypes.CDLL:
    """Load the library from the user's cache; compile it into the cache first if it is not there.

    Raises:
        Unavailable: the CPU has no AVX-512, there is no C compiler, or compiling or loading fails.
    """
    cpu = processor_flags()
    if missing := REQUIRED_FLAGS - cpu:
        raise Unavailable(f"the CPU lacks {', '.join(sorted(missing))}")
    compiler, version = _find_compiler()
    try:
        # The file name is a hash of everything that the machine code depends on, so a library of an older source, of
        # another compiler or of another kind of CPU is never loaded.
        parts = (*(text.read_text("utf-8") for text in SOURCES), shlex.join(compiler), version, *FLAGS, *sorted(cpu))
        name = f"kernels-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}.so"
        with _open_library_folder() as folder:
            if not _is_whole(folder / name):
                _compile(compiler, folder, name)
            # Only the C library is linked: OpenMP calls resolve to torch's own runtime (see kernels.c).
            return ctypes.CDLL(str(folder / name))
    except OSError as error:
        raise Unavailable(f"the library cannot be kept or loaded: {_summarise(str(error))}") from error


def _find_compiler() -> tuple[list[str], str]:
    """Return the command of the first installed compiler, and what it prints as its version.

    ``CC`` takes precedence over the defaults; it may contain options.
    """
    named = os.environ.get("CC", "")
    for command in [shlex.split(named)] if named.strip() else [[name] for name in COMPILERS]:
        if shutil.which(command[0]):
            return command, _run([*command, "--version"])
    raise Unavailable(f"no C compiler: none of {', '.join([named] if named else COMPILERS)} is installed")


def _compile(compiler: Sequence[str], folder: Path, name: str) -> None:
    """Compile into a temporary folder and move the library to ``folder / name``.

    Several processes may do this at once: each replaces the file by a whole one, and no process loads part of a file.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        compiled, linked = f"{temporary}/kernels.o", f"{temporary}/{name}"
        _run([*compiler, *FLAGS, "-fopenmp", "-c", str(SOURCE), "-o", compiled])
        # Linked without -fopenmp, which would load a second OpenMP runtime with a second thread pool.
        _run([*compiler, "-shared", compiled, "-o", linked])
        content = Path(linked).read_bytes()
        with open(linked, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())  # before the name: after a crash the file is whole, or not there
        os.replace(linked, folder / name)


def _is_whole(file: Path) -> bool:
    """Whether a library is there as it was compiled: it ends with the SHA-256 of the rest, which the loader ignores.

    Loading a file that was cut, or whose blocks a crash left empty, ends the process.
    """
    try:
        content = file.read_bytes() if file.is_file() else b""
    except OSError:
        return False
    return content[-DIGEST_SIZE:] == hashlib.sha256(content[:-DIGEST_SIZE]).digest()


def _run(command: Sequence[str]) -> str:
    """Run a command and return its standard output.

    Raises:
        Unavailable: it cannot be started, takes longer than ``TIMEOUT``, or fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"the compiler does not run: {_summarise(str(error))}") from error
    if done.returncode:
        raise Unavailable(f"{command[0]} failed: {_summarise(done.stderr)}")
    return done.stdout


@contextmanager
def _open_library_folder() -> Iterator[Path]:
    """Yield the folder for the library: the user's cache, if this user can write to it and no other user can.

    Otherwise a temporary folder, which is deleted at the end of the block: a loaded library needs no file.
    """
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "elbert"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        trusted = _is_private(cache) and os.access(cache, os.W_OK)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home folder
        trusted = False
    if trusted:
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="elbert-") as private:
        yield Path(private)


def _is_private(folder: Path) -> bool:
    """Whether only this user can write to ``folder``: code loaded from it runs with this user's permissions."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def _summarise(text: str) -> str:
    """Return the first line with "error" in it, or else the first line that is not blank."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no reason reported")
