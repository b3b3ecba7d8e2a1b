"""Encode only as much of a long text as truncation keeps, with the ids that the whole text has.

A text is cut where a word certainly ends, the cut is encoded, and the words next to the cut are not counted. Too few
tokens, or no place to cut: twice as many characters are tried, in the end the whole text.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tokenizers import Encoding, Tokenizer

from elbert.tokenization.tokens import Direction, Text, count_characters

CHARACTERS_PER_TOKEN = 8  # of the first attempt: English has 4 to 6
MIN_CHARACTERS = 256
UNCOUNTED_WORDS = 3  # next to a cut; none of them should differ from the whole text's, this is a margin
CALL_CHARACTERS = 1 << 19  # of one call of the library, whose results take up to 100 bytes a character

# A forked process has another number. elbert.model.isolation has it too, but loads torch.
IMPORTED_BY = os.getpid()
NO_THREADS = ("", "off", "false", "f", "no", "n", "0")  # of TOKENIZERS_PARALLELISM, as tokenizers reads it

# Parts of a tokenizer whose effect on a character does not reach past a space.
LOCAL_NORMALIZERS = frozenset(
    {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "StripAccents"}
)
LOCAL_PRE_TOKENIZERS = frozenset(
    {"BertPreTokenizer", "ByteLevel", "Digits", "Metaspace", "Punctuation", "Whitespace", "WhitespaceSplit"}
)
SPACES = {"Regex": " {2,}"}  # the one regular expression that ALBERT's converters write
WHITESPACE = " \n\t\r"
SPLIT_AT_WHITESPACE = frozenset({"BertPreTokenizer", "ByteLevel", "Whitespace", "WhitespaceSplit"})
LONG_RUN = 32  # whitespace characters from which a run is shortened
# Python's \w has letters that a tokenizer's \p{L} lacks, so only ASCII is used before the punctuation.
PUNCTUATION = ',;:"{}'
IDEOGRAPHS = "[\u4e00-\u9fff]"


class BoundedEncoder:
    """Encodes texts and pairs with ``tokenizer``, which it does not change.

    With ``needs_offsets``, encodings have the characters of each token.
    """

    def __init__(self, tokenizer: Tokenizer, *, needs_offsets: bool = False) -> None:
        self._tokenizer = tokenizer
        self._encode_whole = tokenizer.encode_batch if needs_offsets else tokenizer.encode_batch_fast
        self._word_end = compile_word_end(tokenizer)
        self._space = compile_space(tokenizer, self._word_end)
        self._long_runs = [] if needs_offsets or self._word_end is None else list(compile_long_runs(tokenizer))

    def encode(
        self, texts: Sequence[Text], limit: int, direction: Direction
    ) -> Iterator[tuple[int, Encoding | BaseException]]:
        """Yield the position of each text and its encoding, or the error of the tokenizer, in any order.

        Truncated to ``limit`` tokens, an encoding is that of the whole text, and it is longer if the whole is longer.
        """
        size = max(MIN_CHARACTERS, CHARACTERS_PER_TOKEN * limit)
        texts, unchanged = list(texts), set(range(len(texts)) if self._long_runs else ())
        waiting: list[int] = list(range(len(texts)))
        while waiting:
            short: list[int] = []
            for chunk in chunk_texts(self._cut_all(texts, waiting, size, direction, unchanged)):
                for position, part, encoding in self._encode_chunk(chunk, texts):
                    if (
                        part is texts[position]
                        or isinstance(encoding, BaseException)
                        or has_enough(encoding, texts[position], part, limit, direction)
                    ):
                        yield position, encoding
                    else:
                        short.append(position)
            self._shorten_all(texts, unchanged.intersection(short), unchanged)
            waiting, size = short, 2 * size

    def _shorten(self, text: str) -> str:
        """Return a text that has the same tokens, without the middle of runs that are one token or none."""
        for pattern in self._long_runs:
            text = pattern.sub(r"\1\2", text)
        return text

    def encode_all_tokens(self, texts: Sequence[str]) -> Iterator[list[int] | BaseException]:
        """Yield the ids of all tokens of each text, without special tokens, or the error of the tokenizer.

        Long texts are encoded in parts, which bounds the memory.
        """
        parts = [(number, part) for number, text in enumerate(texts) for part in self._split_text(text)]
        call = self._encode_plain if has_no_threads() else self._encode_plain_batch
        found: list[list[int] | BaseException] = [[] for _ in texts]
        for chunk in chunk_texts(parts):
            for (number, _), encoding in zip(chunk, encode_all(call, [part for _, part in chunk]), strict=True):
                ids = found[number]
                if isinstance(encoding, BaseException):
                    found[number] = encoding
                elif isinstance(ids, list):
                    ids += encoding.ids
        yield from found

    def _split_text(self, text: str) -> Iterator[str]:
        """Yield parts of a text of about ``CALL_CHARACTERS`` or more, each of which begins with a space."""
        start, end = 0, 0
        while self._space is not None and len(text) - start > CALL_CHARACTERS:
            found = self._space.search(text, start + CALL_CHARACTERS)
            if found is None:
                break
            end = found.start()
            yield text[start:end]
            start = end
        yield text[start:] if start else text

    def _encode_plain(self, texts: Sequence[Text]) -> list[Encoding]:
        return [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]

    def _encode_plain_batch(self, texts: Sequence[Text]) -> list[Encoding]:
        return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)

    def _cut_all(
        self, texts: list[Text], waiting: Sequence[int], size: int, direction: Direction, unchanged: set[int]
    ) -> Iterator[tuple[int, Text]]:
        """Yield ``(position, cut text)``; a text without a place to cut, in ``unchanged``, is first shortened."""
        for position in waiting:
            part = self._cut_text(texts[position], size, direction)
            if position in unchanged and count_characters(part) > 4 * size:
                self._shorten_all(texts, {position}, unchanged)
                part = self._cut_text(texts[position], size, direction)
            yield position, part

    def _shorten_all(self, texts: list[Text], positions: set[int], unchanged: set[int]) -> None:
        """Remove the middle of long runs from texts of ``unchanged``, which reads all of their characters."""
        for position in positions:
            text = texts[position]
            if isinstance(text, str):
                texts[position] = self._shorten(text)
            else:
                texts[position] = self._shorten(text[0]), self._shorten(text[1])
        unchanged -= positions

    def _cut_text(self, text: Text, size: int, direction: Direction) -> Text:
        if isinstance(text, str):
            return self._cut(text, size, direction)
        first, second = (self._cut(part, size, direction) for part in text)
        return text if first is text[0] and second is text[1] else (first, second)

    def _cut(self, text: str, size: int, direction: Direction) -> str:
        """Return the start (the end) of a text, of about ``size`` characters or more; the same object if all of it."""
        if self._word_end is None:
            return text
        while size < len(text):
            if direction == "right":
                ends = [match.start() for match in self._word_end.finditer(text, size // 2, size)]
                if ends:
                    return text[: ends[-1]]
            else:
                start = self._word_end.search(text, len(text) - size, len(text) - size // 2)
                if start is not None:
                    return text[start.start() :]
            size *= 2
        return text

    def _encode_chunk(
        self, chunk: Sequence[tuple[int, Text]], texts: Sequence[Text]
    ) -> Iterator[tuple[int, Text, Encoding | BaseException]]:
        whole = [(position, part) for position, part in chunk if part is texts[position]]
        cut = [(position, part) for position, part in chunk if part is not texts[position]]
        # Only the slower call returns the words of the tokens, which a cut text needs.
        for some, call in ((whole, self._encode_whole), (cut, self._tokenizer.encode_batch)):
            encodings = encode_all(self._encode_alone if has_no_threads() else call, [part for _, part in some])
            yield from ((*one, encoding) for one, encoding in zip(some, encodings, strict=True))

    def _encode_alone(self, texts: Sequence[Text]) -> list[Encoding]:
        pairs = ((text, None) if isinstance(text, str) else tuple(text) for text in texts)
        return [self._tokenizer.encode(first, second) for first, second in pairs]


def chunk_texts(texts: Iterable[tuple[int, Text]]) -> Iterator[list[tuple[int, Text]]]:
    """Yield chunks of numbered texts of at most ``CALL_CHARACTERS``, or of one text."""
    chunk: list[tuple[int, Text]] = []
    characters = 0
    for number, text in texts:
        length = count_characters(text)
        if chunk and characters + length > CALL_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
        chunk.append((number, text))
        characters += length
    if chunk:
        yield chunk


def has_no_threads() -> bool:
    """Whether tokenizers would wait for its worker threads for ever.

    They end with a fork. It then works alone, unless this variable demands threads.
    """
    return os.getpid() != IMPORTED_BY and os.environ.get("TOKENIZERS_PARALLELISM", "").lower() not in NO_THREADS


def encode_all(
    call: Callable[[list[Text]], list[Encoding]], texts: Sequence[Text]
) -> Sequence[Encoding | BaseException]:
    """Encode texts in one call; where it fails, one by one, so that only the texts that cause it have an error."""
    if not texts:
        return []
    try:
        return call(list(texts))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # tokenizers is written in Rust, and its panics are no subclass of Exception
        if len(texts) == 1:
            return [error]
        return [result for text in texts for result in encode_all(call, [text])]


def has_enough(encoding: Encoding, text: Text, part: Text, limit: int, direction: Direction) -> bool:
    """Return whether truncation to ``limit`` tokens keeps of a cut text, or pair, what it keeps of the whole.

    It does where each cut text has more tokens than the row can have. An odd number of tokens for two long texts gives
    the longer text one more: then the tokens of the shorter one must be counted to its end.
    """
    owners, words = encoding.sequence_ids, encoding.word_ids
    budget = limit - owners.count(None)
    pairs = [(text, part)] if isinstance(text, str) else list(zip(text, part, strict=True))
    counts = []
    for owner, (whole, cut) in enumerate(pairs):
        its_words = [word for index, word in zip(owners, words, strict=True) if index == owner and word is not None]
        if cut is not whole:
            distinct = sorted(set(its_words))
            uncounted = set(distinct[-UNCOUNTED_WORDS:] if direction == "right" else distinct[:UNCOUNTED_WORDS])
            its_words = [word for word in its_words if word not in uncounted]
            if len(its_words) <= budget:
                return False
        counts.append(len(its_words))
    if budget % 2 == 0 or min(counts) <= budget // 2 or len(counts) == 1:
        return True
    is_cut = [cut is not whole for whole, cut in pairs]
    return not all(is_cut) and counts[is_cut.index(True)] > counts[is_cut.index(False)]


def compile_word_end(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Return a pattern of places before which a word certainly ends; None if there are none to rely on.

    Neither the normalizer nor the pre-tokenizer nor an added token may reach across such a place. Models see one word.
    """
    normalizers = list(list_parts(read_part(tokenizer.normalizer), "normalizers"))
    splits = list(list_parts(read_part(tokenizer.pre_tokenizer), "pretokenizers"))
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    is_local = (
        all(_is_local_normalizer(part) for part in normalizers)
        and splits
        and splits[0]["type"] not in ("Digits", "Punctuation")
        and all(_is_local_pre_tokenizer(part) for part in splits)
        and not any(re.search(r"\s", form) for token in added for form in (token, _normalise(tokenizer, token)))
        and _normalise(tokenizer, "a b").lower() == "a b"
    )
    if not is_local:
        return None
    places = [before_space(tokenizer)]
    isolates = {"BertPreTokenizer", "ByteLevel"} & {part["type"] for part in splits[:1]}
    punctuation = "".join(mark for mark in PUNCTUATION if not any(mark in token for token in added))
    if isolates and punctuation and not any(part["type"] == "Replace" for part in normalizers):
        places.append(f"(?<=[0-9A-Za-z])[{re.escape(punctuation)}]")
    splits_ideographs = any(part.get("handle_chinese_chars") for part in normalizers)
    if splits_ideographs and not any(re.search(IDEOGRAPHS, token) for token in added):
        places.append(f"(?<={IDEOGRAPHS}){IDEOGRAPHS}")
    return re.compile("|".join(places))


def find_whitespace(tokenizer: Tokenizer) -> str:
    """Return the characters that separate words as a space does, for this tokenizer."""
    splits = list(list_parts(read_part(tokenizer.pre_tokenizer), "pretokenizers"))
    is_split = bool(splits) and splits[0]["type"] in SPLIT_AT_WHITESPACE
    forms = {mark: _normalise(tokenizer, f"a{mark}b").lower() for mark in WHITESPACE}
    return "".join(mark for mark, form in forms.items() if form == "a b" or (is_split and form == f"a{mark}b"))


def before_space(tokenizer: Tokenizer) -> str:
    """Return a pattern of places before the first whitespace of a run."""
    return rf"(?<=\S)[{re.escape(find_whitespace(tokenizer))}]"


def compile_space(tokenizer: Tokenizer, word_end: re.Pattern[str] | None) -> re.Pattern[str] | None:
    """Return a pattern of spaces before which a text can be divided without an effect on its tokens; None if there are
    none.

    An added token that takes the spaces behind it reaches across them.
    """
    takes_spaces = any(token.rstrip for token in tokenizer.get_added_tokens_decoder().values())
    return None if word_end is None or takes_spaces else re.compile(before_space(tokenizer))


def compile_long_runs(tokenizer: Tokenizer) -> Iterator[re.Pattern[str]]:
    """Yield patterns of runs whose middle has no effect on the tokens, with both ends as groups.

    Runs of whitespace, where it only separates words, and letters and digits beyond the length from which WordPiece
    reads a word as unknown.
    """
    spaces = find_whitespace(tokenizer)
    normalizers = list(list_parts(read_part(tokenizer.normalizer), "normalizers"))
    splits = {part["type"] for part in list_parts(read_part(tokenizer.pre_tokenizer), "pretokenizers")}
    pairs = (f"a{first}{second}b" for first in spaces for second in spaces)
    is_plain = splits <= SPLIT_AT_WHITESPACE - {"ByteLevel"}
    if spaces and (is_plain or all(_normalise(tokenizer, pair).lower() == "a b" for pair in pairs)):
        space = f"[{re.escape(spaces)}]"
        yield re.compile(f"({space}){space}{{{LONG_RUN - 2},}}({space})")
    forms = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    forms += [_normalise(tokenizer, form) for form in forms]
    longest = getattr(tokenizer.model, "max_input_chars_per_word", None)
    is_kept = is_plain and not any(part["type"] == "Replace" for part in normalizers)
    if longest and is_kept and not any(re.fullmatch("[0-9A-Za-z]+", form) for form in forms):
        yield re.compile(f"([0-9A-Za-z]{{{longest + 1}}})[0-9A-Za-z]+([0-9A-Za-z])")


def read_part(part: Any) -> Mapping[str, Any] | None:
    """Return the JSON of a part of a tokenizer, such as its normalizer."""
    if part is None:
        return None
    state = json.loads(part.__getstate__())
    return state if isinstance(state, dict) else None


def list_parts(part: Mapping[str, Any] | None, inside: str) -> Iterator[Mapping[str, Any]]:
    """Yield a part, or the parts of a sequence, which has them under ``inside``."""
    if part is None:
        return
    if part.get("type") == "Sequence":
        for one in part[inside]:
            yield from list_parts(one, inside)
    else:
        yield part


def _is_local_normalizer(part: Mapping[str, Any]) -> bool:
    if part["type"] != "Replace":
        return part["type"] in LOCAL_NORMALIZERS
    pattern, content = part["pattern"], part["content"]
    if pattern == SPACES:
        return bool(content == " ")
    plain = pattern.get("String")
    return bool(plain) and not re.search(r"\s", plain + content)


def _is_local_pre_tokenizer(part: Mapping[str, Any]) -> bool:
    splits = {"ByteLevel": part.get("use_regex"), "Metaspace": part.get("split")}
    return part["type"] in LOCAL_PRE_TOKENIZERS and bool(splits.get(part["type"], True))


def _normalise(tokenizer: Tokenizer, text: str) -> str:
    return text if tokenizer.normalizer is None else str(tokenizer.normalizer.normalize_str(text))


def truncate(encoding: Encoding, max_length: int, direction: Direction = "right") -> tuple[list[int], list[int]]:
    """Return ids and type ids of a row truncated to ``max_length`` tokens; special tokens are kept.

    ``direction`` is the end at which a long text is cut.

    tokenizers' own truncation stores all overflowing pieces, for a pair each piece of one text with each of the other:
    memory grows with the square of the length (a pair of 40 kB takes more than a gigabyte).
    """
    kept = kept_indices(encoding.sequence_ids, max_length, direction)
    ids, type_ids = encoding.ids, encoding.type_ids
    return [ids[i] for i in kept], [type_ids[i] for i in kept]


def kept_indices(owners: Sequence[int | None], max_length: int, direction: Direction = "right") -> list[int]:
    """Return the indices of the tokens that truncation keeps.

    ``owners [tokens]`` is the text of each token, 0 or 1, or None for a special token.
    """
    if len(owners) <= max_length:
        return list(range(len(owners)))
    counts = owners.count(0), owners.count(1)
    kept = split_budget(*counts, max_length - owners.count(None))
    first = [0 if direction == "right" else count - some for count, some in zip(counts, kept, strict=True)]
    place = [0, 0]
    indices = []
    for index, owner in enumerate(owners):
        if owner is not None:
            place[owner] += 1
            if not first[owner] < place[owner] <= first[owner] + kept[owner]:
                continue
        indices.append(index)
    return indices


def split_budget(first: int, second: int, budget: int) -> tuple[int, int]:
    """Return how many tokens of each text to keep within ``budget``, as tokenizers' ``longest_first`` does."""
    short, long = sorted((first, second))
    long = min(long, max(short, budget - short))
    if short + long > budget:
        short, long = budget // 2, budget - budget // 2
    return (short, long) if first <= second else (long, short)
