"""Sketches of texts: the share of other texts in a data set, exact for small sets and estimated for large ones."""

import pytest

from elbert.data.sketch import BYTES, SIZE, TextSketch


def texts(start, stop):
    return [f"text {number}" for number in range(start, stop)]


def test_the_share_is_exact_for_a_small_set():
    sketch = TextSketch.of([*texts(0, 100), ("a", "pair")])
    assert sketch.share(texts(50, 150)) == 0.5
    assert sketch.share([("a", "pair"), ("a", "other"), ("pair", "a"), "a pair"]) == 0.25
    assert sketch.share([" Text  7\n"]) == 1.0  # spaces and case make no difference
    assert sketch.share([]) == TextSketch.of([]).share(texts(0, 5)) == 0.0


@pytest.mark.parametrize("size", [SIZE - 1, SIZE, SIZE + 1, 50_000])
def test_the_share_of_a_large_set_is_estimated(size):
    sketch = TextSketch.of(texts(0, size))
    assert len(sketch.hashes) == min(size, SIZE)
    assert sketch.share(texts(0, size)) == 1.0
    assert sketch.share(texts(size, 2 * size)) == 0.0
    assert sketch.share(texts(size // 2, size + size // 2)) == pytest.approx(0.5, abs=0.05)


def test_it_is_kept_as_digits():
    for size in (0, 3, SIZE + 5):
        sketch = TextSketch.of(texts(0, size))
        assert TextSketch.from_hex(sketch.to_hex()) == sketch
        assert len(sketch.to_hex()) == 2 * BYTES * min(size, SIZE)
    for wrong in ("xy", "abc", "00" * BYTES * (SIZE + 1)):
        with pytest.raises(ValueError, match=r"hex|digits"):
            TextSketch.from_hex(wrong)
