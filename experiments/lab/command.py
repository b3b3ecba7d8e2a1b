"""What every command of the experiments takes, and how it ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from elbert.errors import ElbertError
from lab.places import Places


def parser(told: str | None) -> argparse.ArgumentParser:
    """A parser with the folders in it."""
    found = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Places()
    found.add_argument("--data-dir", type=Path, default=usual.data, metavar="DIR", help="the sets as published")
    found.add_argument("--work", type=Path, default=usual.work, metavar="DIR", help="what can be made again")
    found.add_argument("--results", type=Path, default=usual.results, metavar="DIR", help="what is kept")
    return found


def places(arguments: argparse.Namespace) -> Places:
    """The folders that were named."""
    return Places(arguments.data_dir, arguments.work, arguments.results)


def say(line: str) -> None:
    """A line for the person who waits; seen at once also in a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def ended(main: Callable[[list[str] | None], None]) -> None:
    """Run a command; what went wrong is one line."""
    try:
        main(None)
    except ElbertError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on") from None
