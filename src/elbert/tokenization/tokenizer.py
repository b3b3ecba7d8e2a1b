"""Texts, as callers pass them, to tokens, truncated to the length that the model accepts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import Encoding, Tokenizer

from elbert.errors import BundleError, InputError
from elbert.tokenization.tokenizer_files import (
    CONFIG_FILE,
    OTHER_FILES,
    SPECIALS_FILE,
    SPIECE_FILE,
    TOKENIZER_FILE,
    load_tokenizer,
    read_length_limit,
    read_token_text,
)

Direction = Literal["left", "right"]
COPIED_FILES = (SPECIALS_FILE, SPIECE_FILE, *OTHER_FILES, "merges.txt", "added_tokens.json")


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row: ids and type ids ``[tokens]``, and whether the text was truncated."""

    ids: list[int]
    type_ids: list[int]
    truncated: bool


class Tokeniser:
    """Converts texts and pairs of texts to rows of at most ``max_length`` tokens.

    >>> Tokeniser.load(Path("bundle"), max_length=512).encode(["a fine film", ("a premise", "a hypothesis")])
    """

    def __init__(
        self, tokenizer: Tokenizer, settings: Mapping[str, Any], max_length: int, source: Path | None = None
    ) -> None:
        """Wrap ``tokenizer``, which must put a special token first; ``source`` is the folder it came from."""
        where = "the tokenizer" if source is None else str(source)
        if tokenizer.encode("a").special_tokens_mask[:1] != [1]:
            raise BundleError(
                f"{where}: no [CLS] before the text, which the exit head reads; use the model's tokenizer"
            )
        limit = read_length_limit(settings)
        self._max_length = max_length if limit is None else min(max_length, limit)
        self._min_length = tokenizer.num_special_tokens_to_add(True) + 2
        self._check_length(self._max_length)
        self._tokenizer = tokenizer
        self._settings = dict(settings)
        self._source = source

    @classmethod
    def load(cls, folder: Path, max_length: int) -> Tokeniser:
        """Load the tokenizer of ``folder``; the smaller of ``max_length`` and its ``model_max_length`` applies.

        Raises:
            BundleError: the folder has no usable tokenizer.
            InputError: ``max_length`` is too small for a text and its special tokens.
            MissingExtra: only transformers can read the files, and transformers is not installed.
        """
        tokenizer, settings = load_tokenizer(folder)
        return cls(tokenizer, settings, max_length, folder)

    @property
    def max_length(self) -> int:
        """The maximum number of tokens of a row, special tokens included."""
        return self._max_length

    @property
    def pad_id(self) -> int:
        """The padding id; 0 where the tokenizer defines none, which is safe because attention masks padding."""
        names = (read_token_text(self._settings.get("pad_token")), "<pad>", "[PAD]")
        ids = (self._tokenizer.token_to_id(name) for name in names if name is not None)
        return next((found for found in ids if found is not None), 0)

    @property
    def vocab_size(self) -> int:
        """The number of token ids, added tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(
        self, texts: Sequence[str | tuple[str, str]], direction: Direction = "right", max_length: int | None = None
    ) -> list[Tokens]:
        """Tokenise texts and pairs, in order; a long one is cut at the end that ``direction`` names.

        Raises:
            InputError: an entry is not a text or a pair of texts, or contains a lone surrogate.
        """
        try:
            encodings = self._tokenizer.encode_batch_fast(list(texts))
        except (TypeError, UnicodeEncodeError) as error:
            raise _find_invalid(texts) or error from None
        limit = self._max_length if max_length is None else min(max_length, self._max_length)
        self._check_length(limit)
        return [self._row(encoding, direction, limit) for encoding in encodings]

    def save(self, folder: Path) -> None:
        """Write the tokenizer files to ``folder``, in a form that this class and ``AutoTokenizer`` both read."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in COPIED_FILES:
            self._copy(name, folder)
        self._tokenizer.save(str(folder / TOKENIZER_FILE))
        text = json.dumps(self._config(), indent=2, ensure_ascii=False, sort_keys=True)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")

    def _check_length(self, length: int) -> None:
        if length < self._min_length:
            raise InputError(f"max_length is {length}, expected at least {self._min_length}: a pair of one-token texts")

    def _row(self, encoding: Encoding, direction: Direction, limit: int) -> Tokens:
        if len(encoding) <= limit:
            return Tokens(encoding.ids, encoding.type_ids, truncated=False)
        return Tokens(*truncate(encoding, limit, direction), truncated=True)

    def _copy(self, name: str, folder: Path) -> None:
        found = None if self._source is None else self._source / name
        if found is not None and found.is_file() and found.resolve() != (folder / name).resolve():
            shutil.copyfile(found, folder / name)

    def _config(self) -> dict[str, Any]:
        config = {name: value for name, value in self._settings.items() if name not in ("auto_map", "tokenizer_file")}
        config["model_max_length"] = self._max_length  # transformers then truncates at the same length
        encoding = self._tokenizer.encode("a")
        config.setdefault("cls_token", encoding.tokens[0])
        config.setdefault("sep_token", encoding.tokens[-1])
        config.setdefault("pad_token", self._tokenizer.id_to_token(self.pad_id))
        # This class reads tokenizer.json unchanged; AlbertTokenizer would rebuild it from the vocabulary alone.
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        # transformers 5 returns type ids only if they are named here, and pairs need them.
        config["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
        return config


def truncate(encoding: Encoding, max_length: int, direction: Direction = "right") -> tuple[list[int], list[int]]:
    """Return ids and type ids of a row truncated to ``max_length`` tokens; special tokens are kept.

    ``direction`` is the end at which a long text is cut.

    tokenizers' own truncation stores all overflowing pieces, for a pair each piece of one text with each of the other:
    memory grows with the square of the length (a pair of 40 kB takes more than a gigabyte).
    """
    owners = encoding.sequence_ids
    counts = owners.count(0), owners.count(1)
    kept = split_budget(*counts, max_length - owners.count(None))
    first = [0 if direction == "right" else count - some for count, some in zip(counts, kept, strict=True)]
    place = [0, 0]
    ids: list[int] = []
    type_ids: list[int] = []
    for owner, token, kind in zip(owners, encoding.ids, encoding.type_ids, strict=True):
        if owner is not None:
            place[owner] += 1
            if not first[owner] < place[owner] <= first[owner] + kept[owner]:
                continue
        ids.append(token)
        type_ids.append(kind)
    return ids, type_ids


def split_budget(first: int, second: int, budget: int) -> tuple[int, int]:
    """Return how many tokens of each text to keep within ``budget``, as tokenizers' ``longest_first`` does."""
    short, long = sorted((first, second))
    long = min(long, max(short, budget - short))
    if short + long > budget:
        short, long = budget // 2, budget - budget // 2
    return (short, long) if first <= second else (long, short)


def _find_invalid(texts: Sequence[str | tuple[str, str]]) -> InputError | None:
    """Return the error of the first entry that tokenizers rejects."""
    for position, entry in enumerate(texts):
        parts = entry if isinstance(entry, (tuple, list)) and len(entry) == 2 else (entry,)
        if not all(isinstance(part, str) for part in parts):
            return InputError(f"text {position}: expected a string or a pair of strings, got {entry!r:.80}")
        if any("\ud800" <= character <= "\udfff" for part in parts for character in part):
            return InputError(f"text {position}: holds a lone surrogate, which is no character; got {entry!a:.80}")
    return None


Text = str | tuple[str, str]


def check_text(text: Any, number: int) -> Text:
    """Return a text, or a pair of texts as a tuple; ``number`` is its position in the input, for error messages.

    Raises:
        InputError: the value is neither a string nor a pair of strings.
    """
    is_pair = isinstance(text, (tuple, list)) and len(text) == 2
    parts = tuple(text) if is_pair else (text,)
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"text {number} is {type(text).__name__}, expected a string or a pair (text, text_pair)")
    try:
        for part in parts:
            part.encode()
    except UnicodeEncodeError:
        raise InputError(f"text {number} holds a lone surrogate, which is no character; got {text!a:.80}") from None
    return (parts[0], parts[1]) if is_pair else parts[0]
