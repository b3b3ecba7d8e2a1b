"""Batches: every row once, within the capacity, like with like."""

from hypothesis import given
from hypothesis import strategies as st

from elbert.depth import batches


@given(
    lengths=st.lists(st.integers(1, 60), max_size=60),
    max_rows=st.integers(1, 9),
    max_tokens=st.integers(1, 300),
)
def test_every_row_once_and_within_the_capacity(lengths, max_rows, max_tokens):
    found = list(batches(lengths, max_rows, max_tokens))
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[i] for i in batch)
        assert 1 <= len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * longest <= max_tokens
    for batch, following in zip(found, found[1:], strict=False):
        longest, most = lengths[batch[0]], lengths[following[0]]
        assert min(lengths[i] for i in batch) >= most
        assert len(batch) == max_rows or (len(batch) + 1) * longest > max_tokens  # no batch ends early
