"""Windows over tokens: a text that is longer than the model as several rows, which overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from elbert.errors import InputError
from elbert.tokenization.bounded_encoding import BoundedEncoder, split_budget
from elbert.tokenization.tokens import Direction, Text, Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

OVERLAP = 4  # one token in so many of a window is also in the window before


class RowTemplate:
    """The special tokens around the texts of a row, as the tokenizer puts them."""

    def __init__(self, tokenizer: Tokenizer, *, is_pair: bool) -> None:
        sample = tokenizer.encode("a", "a") if is_pair else tokenizer.encode("a")
        parts = dict[tuple[int | None, int], tuple[int | None, int, int]]()  # text, id, type id, in order
        for place, (owner, number, kind) in enumerate(
            zip(sample.sequence_ids, sample.ids, sample.type_ids, strict=True)
        ):
            parts[(owner, -1 if owner is not None else place)] = (owner, number, kind)
        self._parts = list(parts.values())
        self.specials = sum(owner is None for owner, _, _ in self._parts)

    def build_row(self, texts: Sequence[Sequence[int]], *, has_type_ids: bool, truncated: bool) -> Tokens:
        """Return the row of the ids of its texts."""
        ids, type_ids = list[int](), list[int]()
        for owner, number, kind in self._parts:
            own = [number] if owner is None else texts[owner]
            ids += own
            type_ids += [kind if has_type_ids else 0] * len(own)
        return Tokens(ids, type_ids, truncated)


def cut_spans(tokens: int, size: int) -> list[tuple[int, int]]:
    """Return ``(first, end)`` of the windows of ``size`` tokens over a text; the last one ends where the text ends.

    A window begins three quarters of a window after the one before. The last is moved back so that it is full too:
    a model that was trained on whole texts reads a few words at the end of one badly.
    """
    if tokens <= size:
        return [(0, tokens)]
    step = max(size - size // OVERLAP, 1)
    starts = [*range(0, tokens - size, step), tokens - size]
    return [(start, start + size) for start in starts]


def cut_windows(
    texts: Sequence[Text],
    encoder: BoundedEncoder,
    tokenizer: Tokenizer,
    limit: int,
    side: Direction,
    has_type_ids: bool,
) -> Iterator[list[Tokens] | BaseException]:
    """Yield the windows of each text, rows of at most ``limit`` tokens, or the error of the tokenizer.

    Of a pair, the longer text is read in windows, each with the shorter one, which is cut where it takes more than half
    of the row.
    """
    parts = [part for text in texts for part in ([text] if isinstance(text, str) else text)]
    encoded = iter(encoder.encode_all_tokens(parts))
    templates = {is_pair: RowTemplate(tokenizer, is_pair=is_pair) for is_pair in {isinstance(t, tuple) for t in texts}}
    for text in texts:
        ids = [next(encoded) for _ in range(1 if isinstance(text, str) else 2)]
        failed = [part for part in ids if isinstance(part, BaseException)]
        if failed:
            yield failed[0]
            continue
        found = [part for part in ids if not isinstance(part, BaseException)]
        try:
            yield cut_rows(found, templates[not isinstance(text, str)], limit, side, has_type_ids)
        except InputError as error:
            yield error


def cut_rows(
    ids: list[list[int]], template: RowTemplate, limit: int, side: Direction, has_type_ids: bool
) -> list[Tokens]:
    """Return the rows of one text or pair, from the ids of all of its tokens."""
    budget = limit - template.specials
    long = max(range(len(ids)), key=lambda number: len(ids[number]))
    truncated = False
    if len(ids) > 1 and sum(map(len, ids)) > budget:
        kept = min(split_budget(len(ids[0]), len(ids[1]), budget))
        short = ids[1 - long]
        truncated = kept < len(short)
        ids[1 - long] = short[:kept] if side == "right" else short[len(short) - kept :]
        budget -= kept
    return [
        template.build_row(
            [part[first:end] if number == long else part for number, part in enumerate(ids)],
            has_type_ids=has_type_ids,
            truncated=truncated,
        )
        for first, end in cut_spans(len(ids[long]), budget)
    ]
