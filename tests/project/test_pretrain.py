"""The pretraining recipe: what it asks, and that it goes on where it stopped."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

ROOT = Path(__file__).parents[2]
LETTERS = ["a", "b", "c", "d", "e"]
PIECES = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", *(f"▁{x}" for x in LETTERS), *LETTERS]


@pytest.fixture
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))


@pytest.fixture
def tokenizer(tmp_path):
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    made = Tokenizer(models.Unigram([(p, -1.0) for p in PIECES], unk_id=1))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))
    names = {
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}))
    return folder


@pytest.fixture
def packed(tmp_path, tokenizer, recipes):
    from pack import pack

    rng = np.random.default_rng(0)
    texts = [" ".join("".join(rng.choice(LETTERS, rng.integers(1, 5))) for _ in range(n)) for n in (3, 30, 60, 400)]
    pq.write_table(pa.table({"text": [*texts, "", None]}), tmp_path / "corpus.parquet")
    count, tokens = pack(
        [tmp_path / "corpus.parquet"], Tokenizer.from_file(str(tokenizer / "tokenizer.json")), tmp_path / "packed"
    )
    assert count == 3  # three words are no document
    from packed_corpus import PackedCorpus

    corpus = PackedCorpus.read(tmp_path / "packed")
    assert tokens == len(corpus.tokens) == corpus.sentences[-1] == corpus.document_starts()[-1]
    return tmp_path / "packed"


def test_which_words_are_masked(packed, recipes):
    from masked import IGNORED, SHARE, Corpus, Specials

    corpus = Corpus(packed, Specials(cls=2, sep=3, mask=4, pad=0), tokens=48, seed=1)
    whole = np.asarray(corpus.tokens).tolist()
    batch = corpus.batch(300)
    assert batch.ids.shape == batch.types.shape == batch.labels.shape == (300, 48)
    hidden = batch.labels != IGNORED
    restored = np.where(hidden, batch.labels, batch.ids)
    assert (batch.ids == 4).sum() == pytest.approx(0.8 * hidden.sum(), rel=0.1)
    assert hidden.sum() == pytest.approx(SHARE * (restored > 4).sum(), rel=0.2)
    assert batch.swapped.mean() == pytest.approx(0.5, abs=0.1)
    for row, swapped, types, labels in zip(restored, batch.swapped, batch.types, batch.labels, strict=True):
        ends = np.flatnonzero(row == 3)
        assert row[0] == 2
        assert len(ends) == 2
        first, second = row[1 : ends[0]].tolist(), row[ends[0] + 1 : ends[1]].tolist()
        run = second + first if swapped else first + second
        at = "".join(map(chr, whole)).find("".join(map(chr, run)))
        assert at >= 0  # the two stand in the corpus one after the other
        assert types.tolist() == [0] * (ends[0] + 1) + [1] * (ends[1] - ends[0]) + [0] * (47 - ends[1])
        assert not (labels[row <= 4] != IGNORED).any()
        # Whole words: a piece inside a word is masked as its beginning is, where both are in the segment.
        for place in range(1, 48):
            if row[place] > 4 and not corpus.begins[row[place]] and row[place - 1] > 4:
                assert (labels[place] == IGNORED) == (labels[place - 1] == IGNORED)


def test_it_goes_on_where_it_stopped(packed, tokenizer, tmp_path, recipes, monkeypatch, capsys):
    from transformers import AlbertForPreTraining

    out = tmp_path / "base"
    sizes = [
        "--width",
        "32",
        "--embedding",
        "8",
        "--depths",
        "3",
        "--loss-depths",
        "1",
        "3",
        "--rows",
        "4",
        "--length",
        "32",
        "--device",
        "cpu",
    ]
    files = ["--packed", packed, "--tokenizer", tokenizer, "--output", out]

    def piece(tokens, minutes="1"):
        words = ["pretrain.py", *map(str, files), *sizes, "--tokens", str(tokens), "--minutes", minutes]
        monkeypatch.setattr(sys, "argv", words)
        runpy.run_path(str(ROOT / "recipes" / "pretrain.py"), run_name="__main__")

    piece(128 * 20)
    piece(128 * 120)
    history = json.loads((out / "pretrain.json").read_text())
    assert [t["tokens"] for t in history] == [128, 128 * 21, 128 * 50, 128 * 100]
    assert history[-1]["words"][0] < history[0]["words"][0] - 0.1
    model, info = AlbertForPreTraining.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"]
    assert model.config.num_hidden_layers == 3
    (tmp_path / ".base.before").mkdir()  # a run killed earlier
    piece(128 * 121)
    assert "15,488 tokens seen" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="depths 1 to 2"):
        sizes[sizes.index("3")] = "2"
        piece(1)
