"""Settings: one dataclass field is a flag, an environment variable, a value of a configuration file, a row of docs."""

import argparse
from dataclasses import dataclass

import pytest

from elbert._settings import (
    build_settings,
    comma_separated,
    describe,
    number,
    one_of,
    parse_values,
    setting,
    settings_of,
    text,
    truth,
    whole,
)
from elbert.cli.commands.serve import FLAGS, describe_flags
from elbert.cli.settings_flags import add_flags, resolve_flags
from elbert.errors import InputError


@dataclass(frozen=True)
class Example:
    max_rows: int = setting(8, "rows in a call", whole(1, 64))
    share: float = setting(0.5, "a share of 100 %", number(0, 1), flag_default=0.25)
    kind: str | None = setting(None, "the kind", one_of("a", "b"), "K", default_text="any")
    verbose: bool = setting(False, "more lines", truth)
    origins: tuple[str, ...] = setting((), "origins", comma_separated, is_repeatable=True)
    name: str = setting("x", "a name", text, has_flag=False)


FIELDS = settings_of(Example)


def resolve(*arguments, **environment):
    parser = argparse.ArgumentParser()
    flags = [field for field in FIELDS if field.has_flag]
    add_flags(parser, flags)
    parser.format_help()  # "%" in a help text must not break it
    found = parser.parse_args(arguments)
    resolve_flags(found, environment, flags)
    return build_settings(Example, vars(found))


def test_flag_environment_and_default():
    assert resolve() == Example(share=0.25)
    assert resolve(MAX_ROWS="3", KIND="b", ORIGINS="p, q") == Example(3, 0.25, "b", origins=("p", "q"))
    assert resolve("--max-rows", "4", "--verbose", "--origins", "p", MAX_ROWS="3") == Example(
        4, 0.25, verbose=True, origins=("p",)
    )
    with pytest.raises(InputError, match="^--max-rows: expected a whole number from 1 to 64, got '65'$"):
        resolve("--max-rows", "65")
    with pytest.raises(InputError, match="^KIND: expected one of a, b, got 'c'$"):
        resolve(KIND="c")


def test_values_of_a_configuration_file():
    known = {field.name: field for field in FIELDS}
    values = {"max_rows": "3", "share": 1, "kind": None, "verbose": True, "origins": ["p"], "name": "y"}
    assert parse_values(values, known) == {**values, "max_rows": 3, "share": 1.0, "origins": ("p",)}
    for wrong in ({"max_rows": True}, {"max_rows": 2.5}, {"name": 3}, {"share": "x"}, {"max_rows": None}):
        (name,) = wrong
        with pytest.raises(InputError, match=f"^{name}: expected "):
            parse_values(wrong, known)
    with pytest.raises(InputError, match="'max_row' is no setting; known are kind, max_rows"):
        parse_values({"max_row": 1}, known)


def test_rows_of_documentation():
    first, *_, last = describe(Example)
    assert first == ("max_rows", "--max-rows", "MAX_ROWS", "8", "rows in a call", "a whole number from 1 to 64")
    assert (last.flags, last.variable, last.default) == ("", "", "x")
    rows = list(describe_flags())
    assert {row.name for row in rows if row.flags} == {flag.name for flag in FLAGS}
    assert all(row.help and row.expected for row in rows)
