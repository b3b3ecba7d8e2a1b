"""Windows over tokens: rows that overlap and together have every token of the text."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_bounded_encoding import LONG, ROWS, load

from elbert.tokenization import Tokens, bounded_encoding
from elbert.tokenization.token_windows import cut_spans
from elbert.tokenization.tokens import Direction

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SIDES: tuple[Direction, ...] = ("right", "left")


@given(tokens=st.integers(0, 400), size=st.integers(1, 60))
def test_windows_overlap_and_reach_from_the_first_to_the_last_token(tokens, size):
    spans = cut_spans(tokens, size)
    assert spans[0][0] == 0 and spans[-1][1] == tokens
    if tokens > size:
        assert {end - start for start, end in spans} == {size}
    for (start, end), (next_start, _) in zip(spans, spans[1:], strict=False):
        assert start < next_start <= max(end - size // 4, start + 1)


@settings(max_examples=40, **QUIET)
@given(
    family=ROWS["family"],
    text=st.one_of(LONG, st.tuples(LONG, LONG)),
    added=ROWS["added"],
    flags=ROWS["flags"],
    part=st.integers(1, 40),
)
def test_windows_have_the_tokens_of_the_whole_text(family, text, added, flags, part, tmp_path_factory):
    tokeniser = load(tmp_path_factory.mktemp("model"), family, added, flags)
    tokeniser._max_length = 12
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded_encoding, "CALL_CHARACTERS", part)
        (windows,) = tokeniser.encode_windows([text])
    parts = [text] if isinstance(text, str) else list(text)
    whole = [tokeniser._tokenizer.encode(one, add_special_tokens=False).ids for one in parts]
    specials = tokeniser._tokenizer.num_special_tokens_to_add(len(parts) > 1)
    assert max(map(len, windows)) <= 12
    if sum(map(len, whole)) + specials <= 12:
        assert windows == tokeniser.encode([text])
        return
    long = max(range(len(whole)), key=lambda number: len(whole[number]))
    kept = 0 if len(whole) == 1 else min(len(whole[1 - long]), (12 - specials) // 2)
    spans = cut_spans(len(whole[long]), 12 - specials - kept)
    for window, (first, end) in zip(windows, spans, strict=True):
        own = [ids[first:end] if number == long else ids[:kept] for number, ids in enumerate(whole)]
        assert window.ids == expect_row(tokeniser, own)
        assert window.truncated == (len(whole) > 1 and kept < len(whole[1 - long]))


def expect_row(tokeniser, parts):
    """The ids of a row: the special tokens of a sample, with other ids for its texts."""
    sample = tokeniser._tokenizer.encode(*["a"] * len(parts))
    ids, seen = [], set()
    for owner, number in zip(sample.sequence_ids, sample.ids, strict=True):
        if owner is None:
            ids.append(number)
        elif owner not in seen:
            seen.add(owner)
            ids += parts[owner]
    return ids


def test_the_errors_of_a_text_are_its_own(tmp_path):
    tokeniser = load(tmp_path, "albert" if "albert" in ROWS["family"].elements else ROWS["family"].elements[0])
    rows = tokeniser.encode_windows(["the film", 3, "a \ud800", ("a", "b")])
    assert [isinstance(row, list) and all(isinstance(window, Tokens) for window in row) for row in rows] == [
        *(True, False, False, True)
    ]
