"""Packed rows against the same done one row after another."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert.model import Layout
from elbert.model.layout import round_up

lengths_of_rows = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def rows_of(lengths, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *shape, generator=generator) for n in lengths]


@settings(max_examples=60, deadline=None)
@given(lengths=lengths_of_rows)
def test_where_tokens_lie(lengths):
    layout = Layout.from_lengths(lengths)
    assert (len(layout), layout.tokens, layout.longest) == (len(lengths), sum(lengths), max(lengths))
    assert layout.starts.tolist() == [sum(lengths[:i]) for i in range(len(lengths))]
    assert layout.row.tolist() == [i for i, n in enumerate(lengths) for _ in range(n)]
    assert layout.position.tolist() == [p for n in lengths for p in range(n)]
    assert layout.is_even == (len(set(lengths)) == 1)
    real = [[p < n for p in range(max(lengths))] for n in lengths]
    assert layout.is_even if layout.mask is None else layout.mask[:, 0, 0].tolist() == real


@settings(max_examples=60, deadline=None)
@given(lengths=lengths_of_rows, shape=st.sampled_from([(3,), (2, 4), (3, 2, 2)]))
def test_pad_and_pack(lengths, shape):
    layout, rows = Layout.from_lengths(lengths), rows_of(lengths, *shape)
    padded = layout.pad(torch.cat(rows))
    assert padded.shape == (len(lengths), max(lengths), *shape)
    for i, row in enumerate(rows):
        assert torch.equal(padded[i, : len(row)], row)
        assert not padded[i, len(row) :].any()
    packed = layout.pack(padded)
    assert len(packed) == layout.size
    assert torch.equal(packed[: layout.tokens], torch.cat(rows))
    assert torch.equal(layout.pack(padded.transpose(0, 1).contiguous().transpose(0, 1)), packed)


@settings(max_examples=60, deadline=None)
@given(lengths=lengths_of_rows, kind=st.sampled_from([torch.float32, torch.bfloat16]))
def test_mean_is_of_each_row_alone_and_in_float32(lengths, kind):
    rows = [row.to(kind) for row in rows_of(lengths, 5)]
    mean = Layout.from_lengths(lengths).mean(torch.cat(rows))
    assert mean.dtype == torch.float32
    torch.testing.assert_close(mean, torch.stack([row.float().mean(0) for row in rows]), atol=1e-6, rtol=1e-5)


@settings(max_examples=100, deadline=None)
@given(lengths=lengths_of_rows, data=st.data())
def test_keep_some_rows_in_any_order(lengths, data):
    index = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10))
    rows = rows_of(lengths, 3)
    kept, tokens = Layout.from_lengths(lengths).keep(np.array(index, np.int64))
    assert kept.lengths.tolist() == [lengths[i] for i in index]
    expected = torch.cat([rows[i] for i in index]) if index else torch.zeros(0, 3)
    assert len(tokens) == kept.size
    assert torch.equal(torch.cat(rows)[tokens[: kept.tokens]], expected)


def test_rooms_are_few_and_near():
    for size in range(5000):
        assert size <= round_up(size) <= size * 1.0625
    assert len({round_up(size) for size in range(5000)}) < 160
