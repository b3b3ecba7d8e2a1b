"""Settings: a dataclass field that is also a command-line flag, an environment variable and a row of the reference.

A setting is written once, as a field made by :func:`setting`::

    @dataclass(frozen=True)
    class Limits:
        max_texts: int = setting(512, "texts in progress", whole(1))

``elbert serve`` reads it as ``--max-texts`` or ``MAX_TEXTS``, ``elbert.ray.app`` as ``max_texts``, and
:func:`describe` yields its row of documentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from elbert.errors import InputError


@dataclass(frozen=True)
class Reader:
    """Converts text to a value; ``expected`` describes the accepted texts in error messages."""

    parse: Callable[[str], Any]
    expected: str

    def __call__(self, text: str) -> Any:
        """The value of a text.

        Raises:
            ValueError: the text is not as expected; the message is one line.
        """
        try:
            return self.parse(text)
        except ValueError:
            raise ValueError(f"expected {self.expected}, got {text!r:.80}") from None


def whole(lowest: int, highest: float = math.inf) -> Reader:
    """Whole numbers from ``lowest`` to ``highest``, both included."""

    def parse(text: str) -> int:
        value = int(text)
        if not lowest <= value <= highest:
            raise ValueError
        return value

    limit = "" if highest == math.inf else f" to {highest:.0f}"
    return Reader(parse, f"a whole number from {lowest}{limit}")


def check_whole(name: str, value: object, highest: int | None = None) -> int:
    """Return an argument of Python that is a whole number from 1 to ``highest``.

    Raises:
        InputError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (highest is not None and value > highest):
        limit = "" if highest is None else f" to {highest}"
        raise InputError(f"{name} is {value!r:.40}, expected a whole number from 1{limit}")
    return value


def number(lowest: float, highest: float = math.inf, *, above: bool = False) -> Reader:
    """Finite numbers from ``lowest`` to ``highest``; with ``above``, ``lowest`` itself is excluded."""

    def parse(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and lowest <= value <= highest) or (above and value == lowest):
            raise ValueError
        return value

    limit = "" if highest == math.inf else f" to {highest:g}"
    return Reader(parse, f"a number {'above' if above else 'from'} {lowest:g}{limit}")


def one_of(*choices: str) -> Reader:
    """One of a few names."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return Reader(parse, f"one of {', '.join(choices)}")


TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _parse_truth(text: str) -> bool:
    if text.strip().lower() not in TRUTH:
        raise ValueError
    return TRUTH[text.strip().lower()]


def _parse_key(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text.strip()  # a key that was read from a file may end in a line break


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


text = Reader(str, "a text")
truth = Reader(_parse_truth, "true or false")
key = Reader(_parse_key, "a key that is not blank (without the setting, no key is required)")
comma_separated = Reader(_parse_list, "names separated by commas")


@dataclass(frozen=True)
class Setting:
    """One setting: its name, its default, and how it is read and described.

    ``field_default`` is the default of the Python field, where it differs from the default of the flag.
    ``default_text`` describes a default that is no value, such as "the bundled model".
    ``is_ignored`` finds values of the environment variable that the system sets by itself, for another purpose.
    """

    name: str
    default: Any
    help: str
    read: Reader
    metavar: str
    default_text: str | None
    aliases: tuple[str, ...]
    is_switch: bool
    is_repeatable: bool
    has_flag: bool
    is_ignored: Callable[[str], bool] | None

    @property
    def flag(self) -> str:
        """The command-line flag."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def flags(self) -> tuple[str, ...]:
        """The command-line flag and its aliases."""
        return (self.flag, *self.aliases)

    @property
    def variable(self) -> str:
        """The environment variable."""
        return self.name.upper()

    @property
    def shown_default(self) -> str | None:
        """The default as documentation shows it; None for no value."""
        if self.default_text is not None or self.default in (None, ()):
            return self.default_text
        is_number = isinstance(self.default, float)
        return f"{self.default:g}" if is_number else str(self.default).lower()

    def parse(self, value: Any) -> Any:
        """Convert a value of a configuration file (YAML or JSON); texts are read as on the command line.

        Raises:
            ValueError: the value is of another kind or out of range; the message is one line.
        """
        if value is None and self.default in (None, ()):
            return self.default
        if isinstance(value, list | tuple) and self.is_repeatable:
            return self.read(",".join(map(str, value)))
        if isinstance(value, str):
            return self.read(value)
        try:
            parsed = self.read(str(value))
        except ValueError:
            is_same = False
        else:
            is_same = bool(parsed == value)  # the number 3 is not the text "3"
        if not is_same:
            raise ValueError(f"expected {self.read.expected}, got {value!r:.80}")
        return parsed


def setting(
    default: Any,
    help: str,  # noqa: A002 - the name that argparse uses
    read: Reader,
    metavar: str = "N",
    *,
    flag_default: Any = None,
    default_text: str | None = None,
    aliases: tuple[str, ...] = (),
    is_repeatable: bool = False,
    has_flag: bool = True,
    is_ignored: Callable[[str], bool] | None = None,
) -> Any:
    """A dataclass field with the metadata of a setting; see :class:`Setting`.

    ``flag_default`` is the default of ``elbert serve``, where it differs from that of the field.
    """
    shown = default if flag_default is None else flag_default
    found = Setting(
        "", shown, help, read, metavar, default_text, aliases, read is truth, is_repeatable, has_flag, is_ignored
    )
    return field(default=default, metadata={"setting": found})


def settings_of(*classes: type[Any]) -> tuple[Setting, ...]:
    """The settings that are fields of the classes, in the order of the fields."""
    return tuple(
        replace(item.metadata["setting"], name=item.name)
        for one in classes
        for item in fields(one)
        if "setting" in item.metadata
    )


def build_settings(kind: type[Any], values: Mapping[str, Any], **more: Any) -> Any:
    """An instance of a settings class; fields that ``values`` lacks keep their defaults."""
    names = [item.name for item in settings_of(kind) if item.name in values]
    return kind(**{name: values[name] for name in names}, **more)


def parse_values(values: Mapping[str, Any], known: Mapping[str, Setting]) -> dict[str, Any]:
    """The values of a configuration file, converted by their settings.

    Raises:
        InputError: a name is unknown, or a value is not as expected.
    """
    parsed = {}
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{name!r:.60} is no setting; known are {', '.join(sorted(known))}")
        try:
            parsed[name] = known[name].parse(value)
        except ValueError as error:
            raise InputError(f"{name}: {error}") from None
    return parsed


class Description(NamedTuple):
    """A row of the reference documentation; ``flags`` and ``variable`` are empty for a setting without a flag."""

    name: str
    flags: str
    variable: str
    default: str
    help: str
    expected: str


def describe(*classes: type[Any]) -> Iterator[Description]:
    """Yield a row of documentation for each setting of the classes."""
    for item in settings_of(*classes):
        flags, variable = (", ".join(item.flags), item.variable) if item.has_flag else ("", "")
        yield Description(item.name, flags, variable, item.shown_default or "none", item.help, item.read.expected)
