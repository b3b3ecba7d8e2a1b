"""The command line: ``elbert COMMAND``. Commands import slow modules only when they run."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import takewhile
from typing import NoReturn

from elbert import __version__
from elbert._display import suggest
from elbert.cli.streams import flush_stdout, prepare_streams, print_note
from elbert.errors import BadRow, ElbertError, InputError

COMMANDS = {
    "predict": "classify texts, each only to the depth that it needs",
    "rank": "order lists of texts by their score for a query",
    "train": "train an ALBERT to answer at every depth",
    "evaluate": "accuracy, depth and time of every depth and policy on labelled data",
    "explain": "why a text exits at its depth, depth by depth; or the exits of a whole data set",
    "compare": "accuracy and cost of every policy on labelled data, as a report with figures",
    "calibrate": "choose, measure and certify an operating point, and store it with the model",
    "export": "write one ONNX file with the exits inside",
    "explore": "a page on this machine that explains exits and tries other policies",
    "serve": "answer over HTTP, with deadlines and under overload",
    "bench": "measure the speed of a model on this machine, in batches and for single texts",
    "env": "versions, processor and devices, for a bug report",
}
TEXT_COMMANDS = ("predict", "rank", "explain")
FAILED, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 2 after an error printed in one line, or 130 when interrupted."""
    prepare_streams()
    try:
        status = run(argv)
        sys.stdout.flush()  # here, where a closed pipe can still be distinguished from an error
        return status
    except BrokenPipeError:  # the reader of our output has closed it (`| head`)
        status = FAILED
    except ElbertError as error:
        print_note(f"error: {error}")
        status = FAILED
    except OSError as error:  # a full disk, a file that was removed: not a fault of the program
        print_note(f"error: {error.filename or 'standard output'}: {error.strerror or error}")
        status = FAILED
    except KeyboardInterrupt:
        print_note("interrupted")
        status = INTERRUPTED
    flush_stdout()
    return status


def run(argv: Sequence[str] | None) -> int:
    """Run the command that the arguments name, and return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    top = parser()
    first = list(takewhile(is_flag, words))
    check_flags(top, first)
    for name in words[len(first) :][:1]:
        if name in top.commands:  # before argparse, for which a required flag is missing where it is misspelt
            check_flags(top.commands[name], takewhile(lambda word: word != "--", words))
    arguments, extra = top.parse_known_args(words)
    command = import_module(f"elbert.cli.commands.{arguments.command}")
    if extra and not getattr(command, "TAKES_MORE", False):
        raise name_unknown(extra[0], top.commands[arguments.command])
    try:
        status: int = command.run(arguments, extra) if extra else command.run(arguments)
    except BadRow as bad:
        if bad.conflicts or getattr(arguments, "skip_bad", True):
            raise
        raise BadRow(bad.source, bad.line, f"{bad.why}; --skip-bad leaves such rows out") from bad
    return status


class Parser(argparse.ArgumentParser):
    """argparse with errors as :class:`InputError`, which :func:`main` prints in one line; ``commands`` by name."""

    commands: Mapping[str, Parser]

    @property
    def command(self) -> str:
        """The command whose arguments it parses."""
        return self.prog.split()[-1]

    def error(self, message: str) -> NoReturn:
        """Raise the error; called by argparse on wrong arguments."""
        about_value = re.match(r"argument [^:]+: (?!expected|ignored)", message)  # then no text was taken for a flag
        raise InputError(f"{message}; see {self.prog} -h{'' if about_value else hint(self.command)}")


def is_flag(word: str) -> bool:
    """Whether a word is a flag with a long name, alone or with its value; argparse takes one with spaces as a text."""
    return re.match(r"--[A-Za-z][\w-]*(=|$)", word) is not None


def check_flags(parser: Parser, words: Iterable[str]) -> None:
    """Check that the flags among these words exist.

    Raises:
        InputError: one does not; the message names the closest that does.
    """
    names = [word.partition("=")[0] for word in words if is_flag(word)]
    if unknown := [name for name in names if name not in parser._option_string_actions]:
        known = list_flags(parser)
        for name in unknown:
            if name not in known:
                raise name_unknown(name, parser)


def list_flags(parser: Parser) -> list[str]:
    """Return the flags of a command, those of libraries included."""
    ours = list(parser._option_string_actions)
    if parser.command not in COMMANDS:
        return ours
    command = import_module(f"elbert.cli.commands.{parser.command}")
    return [*ours, *command.list_more_flags()] if getattr(command, "TAKES_MORE", False) else ours


def list_usual_names(parser: Parser) -> dict[str, str]:
    """Return flags that other tools have for what a command does, and its own."""
    command = import_module(f"elbert.cli.commands.{parser.command}") if parser.command in COMMANDS else None
    return {f"--{name}": f"--{own}" for name, own in getattr(command, "USUAL_NAMES", {}).items()}


def name_unknown(word: str, parser: Parser) -> InputError:
    """Return the error about an argument that the parser does not know, with the closest flag that it knows."""
    known = {flag: flag for flag in list_flags(parser)} | list_usual_names(parser)
    names = {name.lstrip("-"): flag for name, flag in known.items()}  # dashes make all flags alike
    closest = suggest(word.lstrip("-"), names, 1) if word.startswith("-") else ""
    return InputError(f"unknown argument {word!r:.80}{closest}; see {parser.prog} -h{hint(parser.command)}")


def hint(command: str) -> str:
    """Return what to do about texts that look like flags, for commands that take texts."""
    return "; put -- before texts that begin with a dash" if command in TEXT_COMMANDS else ""


def parser() -> Parser:
    """Return the parser of all commands."""
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
    top.commands = commands.choices
    return top


if __name__ == "__main__":
    sys.exit(main())
