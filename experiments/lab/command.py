"""Arguments that every command of the experiments shares, and its errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from elbert.errors import ElbertError
from lab.places import Places


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the folders in it."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Places()
    found.add_argument("--data-dir", type=Path, default=usual.data, metavar="DIR", help="the sets as published")
    found.add_argument("--work", type=Path, default=usual.work, metavar="DIR", help="what can be made again")
    found.add_argument("--results", type=Path, default=usual.results, metavar="DIR", help="what is kept")
    return found


def places(arguments: argparse.Namespace) -> Places:
    """The folders from the arguments."""
    return Places(arguments.data_dir, arguments.work, arguments.results)


def print_line(line: str) -> None:
    """Print a line; it is flushed, so that a log file shows it at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_command(main: Callable[[list[str] | None], None]) -> None:
    """Run a command; an error is one line."""
    try:
        main(None)
    except ElbertError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on") from None
