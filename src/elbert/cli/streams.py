"""The three standard streams, as they may be given: closed, full, or of another encoding."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import BinaryIO


def prepare() -> None:
    """A closed stream stands for nothing; what programs read is UTF-8, what people read is what they can see."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - open as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    warnings.showwarning = show
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")


def own_stdin() -> BinaryIO | None:
    """A reader of our own over standard input, for a thread that may still wait on it when the process ends.

    Python's is closed at exit, and the process aborted if a thread is in it. None where there is no file behind it.
    """
    try:
        return open(os.dup(sys.stdin.fileno()), "rb")  # noqa: SIM115 - open as long as the process
    except (OSError, AttributeError):
        return None


def show(message: Warning | str, *where: object, **more: object) -> None:
    """A warning as people read it: what is wrong, not in which line of whose program."""
    tell(f"warning: {message}")


def settle() -> None:
    """Write out what is left; where nobody takes it, drop it, or Python complains about it once more at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"elbert: {' '.join(text.split())}\n")
