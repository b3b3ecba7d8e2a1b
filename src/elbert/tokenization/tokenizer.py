"""Texts, as callers pass them, to tokens, truncated to the length that the model accepts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

from elbert.errors import BundleError, ElbertError, InputError
from elbert.tokenization.bounded_encoding import BoundedEncoder, kept_indices, truncate
from elbert.tokenization.folder_settings import CONFIG_FILE
from elbert.tokenization.token_windows import cut_windows
from elbert.tokenization.tokenizer_files import (
    OTHER_FILES,
    SPIECE_FILE,
    TOKENIZER_FILE,
    TYPE_IDS,
    load_tokenizer,
    read_length_limit,
)
from elbert.tokenization.tokens import Direction, Text, Tokens, has_surrogate
from elbert.tokenization.word_pieces import NO_PIECES, PieceReader, Pieces

COPIED_FILES = (SPIECE_FILE, *OTHER_FILES, "merges.txt")
# Settings that a saved folder lacks: its tokenizer.json has the tokens, and nothing of it runs code.
UNSAVED = ("auto_map", "tokenizer_file", "added_tokens_decoder", "fast_tokenizer_files", "tokenizer_class")


class Tokeniser:
    """Converts texts and pairs of texts to rows of at most ``max_length`` tokens.

    >>> Tokeniser.load(Path("bundle"), max_length=512).encode(["a fine film", ("a premise", "a hypothesis")])
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        settings: Mapping[str, Any],
        max_length: int,
        source: Path | None = None,
        *,
        per_token: bool = False,
    ) -> None:
        """Wrap ``tokenizer``, which must put a special token first; ``source`` is the folder it came from.

        ``per_token``: rows have their pieces, and texts are single ones that are cut at the end.
        """
        where = "the tokenizer" if source is None else str(source)
        if tokenizer.encode("a").special_tokens_mask[:1] != [1]:
            raise BundleError(
                f"{where}: no [CLS] before the text, which the exit head reads; use the model's tokenizer"
            )
        limit = read_length_limit(settings, where)
        self._max_length = max_length if limit is None else min(max_length, limit)
        self._min_length = tokenizer.num_special_tokens_to_add(True) + 2
        self._check_length(self._max_length)
        self._tokenizer = tokenizer
        self._encoder = BoundedEncoder(tokenizer, needs_offsets=per_token)
        self._pieces = PieceReader(tokenizer) if per_token else None
        self._settings = dict(settings)
        self._has_type_ids = TYPE_IDS in settings.get("model_input_names", (TYPE_IDS,))
        self._source = source

    @classmethod
    def load(cls, folder: Path, max_length: int, *, per_token: bool = False) -> Tokeniser:
        """Load the tokenizer of ``folder``; the smaller of ``max_length`` and its ``model_max_length`` applies.

        Raises:
            BundleError: the folder has no usable tokenizer.
            InputError: ``max_length`` is too small for a text and its special tokens.
            MissingExtra: only transformers can read the files, and transformers is not installed.
        """
        tokenizer, settings = load_tokenizer(folder)
        return cls(tokenizer, settings, max_length, folder, per_token=per_token)

    @property
    def max_length(self) -> int:
        """The maximum number of tokens of a row, special tokens included."""
        return self._max_length

    @property
    def truncation_side(self) -> Direction:
        """The end at which a long text is cut, if :meth:`encode` is called without a direction."""
        is_left = self._settings.get("truncation_side") == "left" and self._pieces is None
        return "left" if is_left else "right"

    @property
    def pad_id(self) -> int:
        """The padding id; 0 where the tokenizer defines none, which is safe because attention masks padding."""
        names = (self._settings.get("pad_token"), "<pad>", "[PAD]")
        ids = (self._tokenizer.token_to_id(name) for name in names if isinstance(name, str))
        return next((found for found in ids if found is not None), 0)

    @property
    def vocab_size(self) -> int:
        """The number of token ids, added tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(
        self, texts: Sequence[Text], direction: Direction | None = None, max_length: int | None = None
    ) -> list[Tokens]:
        """Tokenise texts and pairs, in order; a long one is cut at the end that ``direction`` names.

        Raises:
            InputError: an entry is not a text or a pair of texts, or the tokenizer fails on it.
        """
        rows = list[Tokens]()
        for number, row in enumerate(self.encode_each(texts, direction, max_length)):
            if isinstance(row, ElbertError):
                raise InputError(f"text {number}: {row}")
            rows.append(row)
        return rows

    def encode_each(
        self, texts: Sequence[Text], direction: Direction | None = None, max_length: int | None = None
    ) -> list[Tokens | ElbertError]:
        """Tokenise texts and pairs, in order: the tokens of each, or its error."""
        limit = self._max_length if max_length is None else min(max_length, self._max_length)
        self._check_length(limit)
        side = direction or self.truncation_side
        rows: list[Tokens | ElbertError | None] = [find_error(text) for text in texts]
        if self._pieces is not None:
            rows = [row or find_tagging_error(text, side) for text, row in zip(texts, rows, strict=True)]
        valid = [number for number, row in enumerate(rows) if row is None]
        for position, encoding in self._encoder.encode([texts[number] for number in valid], limit, side):
            number = valid[position]
            if isinstance(encoding, BaseException):
                rows[number] = InputError(f"the tokenizer fails on it ({describe(encoding)})")
                continue
            ids, type_ids = truncate(encoding, limit, side)
            types = type_ids if self._has_type_ids else bytes(len(ids))
            pieces = self._read_pieces(texts[number], encoding, limit)
            try:
                rows[number] = Tokens(ids, types, len(encoding) > limit, pieces)
            except InputError as error:
                rows[number] = error
        return [row for row in rows if row is not None]

    def encode_windows(self, texts: Sequence[Text]) -> list[list[Tokens] | ElbertError]:
        """Tokenise whole texts and pairs, in order: the windows of each, rows that overlap, or its error.

        A text that fits into the model has one window, the row of :meth:`encode`.
        """
        rows: list[list[Tokens] | ElbertError | None] = [find_error(text) for text in texts]
        valid = [number for number, row in enumerate(rows) if row is None]
        found = cut_windows(
            *([texts[number] for number in valid], self._encoder, self._tokenizer, self._max_length),
            self.truncation_side,
            self._has_type_ids,
        )
        for number, windows in zip(valid, found, strict=True):
            if isinstance(windows, BaseException) and not isinstance(windows, ElbertError):
                windows = InputError(f"the tokenizer fails on it ({describe(windows)})")
            rows[number] = windows
        return [row for row in rows if row is not None]

    def _read_pieces(self, text: Text, encoding: Encoding, limit: int) -> Pieces:
        if self._pieces is None or not isinstance(text, str):
            return NO_PIECES
        return self._pieces.read(text, encoding, kept_indices(encoding.sequence_ids, limit))

    def join_pieces(self, ids: Sequence[int], parts: Sequence[str]) -> str:
        """Return the text of consecutive pieces, as the tokenizer writes it: an uncased one in lower case.

        ``parts`` are their characters in the text, which unknown ones are written with.
        """
        unknown = None if self._pieces is None else self._pieces.unknown
        tokens = [
            part if number == unknown else self._tokenizer.id_to_token(number) or ""
            for number, part in zip(ids, parts, strict=True)
        ]
        decoder = self._tokenizer.decoder
        return " ".join(tokens) if decoder is None else str(decoder.decode(tokens))

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

    def _copy(self, name: str, folder: Path) -> None:
        found = None if self._source is None else self._source / name
        if found is not None and found.is_file() and found.resolve() != (folder / name).resolve():
            shutil.copyfile(found, folder / name)

    def _config(self) -> dict[str, Any]:
        config = {name: value for name, value in self._settings.items() if name not in UNSAVED}
        config["model_max_length"] = self._max_length  # transformers then truncates at the same length
        encoding = self._tokenizer.encode("a")
        config.setdefault("cls_token", encoding.tokens[0])
        config.setdefault("sep_token", encoding.tokens[-1])
        config.setdefault("pad_token", self._tokenizer.id_to_token(self.pad_id))
        # This class reads tokenizer.json unchanged; AlbertTokenizer would rebuild it from the vocabulary alone.
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        # transformers 5 returns type ids only if they are named here.
        names = ["input_ids", TYPE_IDS, "attention_mask"] if self._has_type_ids else ["input_ids", "attention_mask"]
        config["model_input_names"] = names
        config["truncation_side"] = self.truncation_side
        return config


def describe(error: BaseException) -> str:
    """Return the class and the first line of an error of the library."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]:.100}" if lines else type(error).__name__


def find_tagging_error(text: Text, side: Direction) -> InputError | None:
    """Return the error of a text whose tokens cannot be classified."""
    if not isinstance(text, str):
        return InputError("a pair of texts, and token classification takes single texts")
    if side != "right":
        return InputError("token classification reads a text from its start, so it is cut at the end: direction right")
    return None


def find_error(entry: Any) -> InputError | None:
    """Return the error of an entry that is not a text or a pair of texts."""
    parts = entry if isinstance(entry, (tuple, list)) and len(entry) == 2 else (entry,)
    if not all(isinstance(part, str) for part in parts):
        return InputError(f"expected a string or a pair of strings, got {entry!r:.80}")
    if any(has_surrogate(part) for part in parts):
        return InputError(f"holds a lone surrogate, which is no character; got {entry!a:.80}")
    return None
