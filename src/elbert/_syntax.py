"""Expressions in Python's syntax, which policies and lists of labels are written in."""

from __future__ import annotations

import ast

ATTEMPTS = 100


def parse_expression(text: str) -> ast.expr:
    """Return the tree of an expression.

    CPython before 3.11.5 counts the depth of its parser for all threads together, and raises SystemError where two
    threads parse at once (CPython issue 106905); the next attempt is another moment.

    Raises:
        SyntaxError, ValueError, MemoryError, RecursionError: as :func:`ast.parse`.
    """
    for _ in range(ATTEMPTS):
        try:
            return ast.parse(text, mode="eval").body
        except SystemError as error:
            failure = error
    raise failure
