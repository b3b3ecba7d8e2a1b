"""CoNLL files: sentences of words, each with a tag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from elbert.data.decoding import describe_bad_byte, strip_line_end
from elbert.data.records import Record
from elbert.errors import BadRow

DOCUMENT = "-DOCSTART-"  # the line that begins a document in CoNLL files


def read_conll_rows(lines: Iterable[str], source: str) -> Iterator[Record | BadRow]:
    """Yield a record for each sentence of a CoNLL file, or its error.

    A line has a word first and its tag last, separated by tabs or spaces; a blank line ends a sentence.
    """
    tokens, tags, first, why = list[str](), list[str](), 1, None
    for number, line in enumerate(lines, start=1):
        fields = strip_line_end(line).split()
        if fields and fields[0] == DOCUMENT:
            continue
        if fields:
            first = number if not tokens and why is None else first
            bad = describe_bad_byte(line)
            if bad is None and len(fields) < 2:
                bad = f"line {number} is {strip_line_end(line)!r:.60}, expected a word and its tag"
            why = why or bad
            tokens.append(fields[0])
            tags.append(fields[-1])
        elif tokens:
            yield _finish(tokens, tags, first, why, source)
            tokens, tags, why = [], [], None
    if tokens:
        yield _finish(tokens, tags, first, why, source)


def _finish(tokens: list[str], tags: list[str], line: int, why: str | None, source: str) -> Record | BadRow:
    return BadRow(source, line, why) if why is not None else Record(line, {"tokens": tokens, "tags": tags})
