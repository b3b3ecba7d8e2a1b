"""The command line: ``elbert COMMAND``. Commands import what is heavy only when they run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from elbert import __version__
from elbert.cli import streams
from elbert.errors import ElbertError, InputError

COMMANDS = {
    "predict": "classify texts, each as deep as it needs",
    "train": "train an ALBERT so that every depth can answer",
    "evaluate": "accuracy, depth and time of every depth and policy on labelled data",
    "explain": "why a text left where it did, depth by depth; or how a data set leaves",
    "compare": "every policy's accuracy and cost, oracles, figures, one report",
    "calibrate": "choose, measure and certify an operating point, and keep it with the model",
    "export": "write one ONNX file with the exits inside",
    "explore": "a page on this machine that shows why each text left, and what other dials would do",
    "serve": "answer over HTTP, under load and deadlines too",
    "bench": "how fast a model is here: batches and single texts, at every operating point",
    "env": "what a bug report needs: versions, processor, devices",
}
FAILED, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 2 after an error told in one line, or 130 when interrupted."""
    streams.prepare()
    try:
        status = run(argv)
        sys.stdout.flush()  # here, where a closed pipe can still be told from an error
        return status
    except BrokenPipeError:  # whoever reads us has had enough (`| head`)
        status = FAILED
    except ElbertError as error:
        streams.tell(f"error: {error}")
        status = FAILED
    except OSError as error:  # a full disk, a file that vanished: of the world, not of the program
        streams.tell(f"error: {error.filename or 'standard output'}: {error.strerror or error}")
        status = FAILED
    except KeyboardInterrupt:
        streams.tell("interrupted")
        status = INTERRUPTED
    streams.settle()
    return status


def run(argv: Sequence[str] | None) -> int:
    """The command that the arguments name."""
    arguments, extra = parser().parse_known_args(argv)
    command = import_module(f"elbert.cli.commands.{arguments.command}")
    if extra and not getattr(command, "TAKES_MORE", False):
        raise InputError(f"unknown argument {extra[0]!r}; see elbert {arguments.command} -h")
    status: int = command.run(arguments, extra) if extra else command.run(arguments)
    return status


class Parser(argparse.ArgumentParser):
    """argparse, with its errors told as all others are: in one line."""

    def error(self, message: str) -> NoReturn:
        """What argparse calls on wrong arguments."""
        raise InputError(f"{message}; see {self.prog} -h")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = Parser(
        prog="elbert",
        description="Classify text with ALBERT, and stop each text at the depth where its answer is settled.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"elbert {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
        import_module(f"elbert.cli.commands.{name}").add_arguments(command)
    return top


if __name__ == "__main__":
    sys.exit(main())
