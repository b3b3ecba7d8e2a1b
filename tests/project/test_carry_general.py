"""Carrying a teacher over into a base, at toy size: packed texts in, float16 weights in small files out, and again."""

import itertools
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

import elbert

RECIPES = Path(__file__).parents[2] / "recipes"
VOCABULARY = 120


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A corpus of random tokens and a teacher of six small layers."""
    monkeypatch.syspath_prepend(str(RECIPES))
    from packed_corpus import Packer

    rng = np.random.default_rng(0)
    packer = Packer(tmp_path / "packed", np.ones(VOCABULARY, bool))
    for source in (0, 1):
        for _ in range(20):
            lengths = rng.integers(3, 12, 8).tolist()
            packer.add(rng.integers(4, 100, sum(lengths)).tolist(), lengths, source)
    packer.flush()
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 6}
    config = BertConfig(vocab_size=VOCABULARY, max_position_embeddings=64, **sizes)
    teacher = tmp_path / "packed" / "teacher"
    BertModel(config, add_pooling_layer=False).half().save_pretrained(teacher, max_shard_size="10KB")
    pieces = [
        "[PAD]",
        "[UNK]",
        *(f"w{i}" for i in range(99)),
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *(f"w{i}" for i in range(100, 116)),
    ]
    (teacher / "vocab.txt").write_text("\n".join(pieces))
    (teacher / "tokenizer.json").write_text(json.dumps(tokenizer_json(pieces)))
    return tmp_path / "packed"


def tokenizer_json(pieces):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
    return json.loads(tokenizer.to_str())


def carry(packed, output, *arguments, monkeypatch):
    fixed = ["--packed", packed, "--output", output, "--device", "cpu", "--tokens", 128, "--longest", 32]
    monkeypatch.setattr(sys, "argv", ["carry_general.py", *map(str, [*fixed, *arguments])])
    runpy.run_path(str(RECIPES / "carry_general.py"), run_name="__main__")


@pytest.mark.parametrize("local", [0, 1])
def test_a_base_learns_and_a_later_run_continues(packed, tmp_path, monkeypatch, capsys, local):
    options = ["--steps", 30, "--fall", 0.5, "--rate", 0.1, "--batches", 2, "--local", local]
    carry(packed, tmp_path / "out", *options, monkeypatch=monkeypatch)
    log = json.loads((tmp_path / "out" / "base" / "carried.json").read_text())
    assert log[-1]["loss"] < log[0]["loss"]
    assert "tokens in" in capsys.readouterr().out
    weights = {k: v for f in (tmp_path / "out" / "base").glob("*.safetensors") for k, v in load_file(f).items()}
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert (tmp_path / "out" / "before-fall").is_dir()
    some = {"texts": ["w1 w2", "w3 w4"] * 10, "labels": ["a", "b"] * 10}
    trained = elbert.train(tmp_path / "out" / "base", train=(some["texts"], some["labels"]), max_steps=1, use_cpu=True)
    assert len(trained.predict(["w1 w2 w3"])) == 1

    carry(packed, tmp_path / "more", "--minutes", 0, "--resume", tmp_path / "out" / "base", monkeypatch=monkeypatch)
    again = {k: v for f in (tmp_path / "more" / "base").glob("*.safetensors") for k, v in load_file(f).items()}
    assert all(torch.equal(again[name], value) for name, value in weights.items())


def test_depths_that_learn_apart_learn_the_teachers_next_state(packed):
    """A student whose layer, applied twice, is the teacher's has no loss but the embedding's."""
    from carry_general import local_loss, whole_loss
    from student import student_from
    from teacher import Teacher

    teacher = Teacher(2, packed / "teacher").eval()
    model = student_from(teacher, 2, torch.ones(VOCABULARY), ["0", "1"], width=16).eval()
    ids = torch.randint(4, 100, (3, 9))
    types = torch.zeros_like(ids)
    with torch.no_grad():
        hidden = [torch.randn(3, 9, 16)]
        layer = model.albert.encoder.albert_layer_groups[0]
        for _ in range(6):
            hidden.append(layer(layer(hidden[-1], None), None))
        loss = local_loss(model, tuple(hidden), ids, types)
        embedded = model.albert.encoder.embedding_hidden_mapping_in(model.albert.embeddings(ids, types))
        from student import apart

        assert loss.item() == pytest.approx(0.2 * apart(embedded, hidden[0]).item(), abs=1e-5)
        assert whole_loss(model, tuple(hidden), ids, types).item() > loss.item()


def test_labels_of_a_task_are_learned_beside_the_teacher(packed, tmp_path, monkeypatch):
    rows = [("w7 w8 w9 w10", 0), ("w40 w41 w42 w43", 1)] * 40
    table = pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    pq.write_table(table, tmp_path / "train.parquet")
    (tmp_path / "labels.json").write_text('["low", "high"]')
    task = ["--task", tmp_path / "train.parquet", "--task-share", 0.5, "--precision", "float32"]
    carry(packed, tmp_path / "out", "--steps", 160, "--rate", 0.01, *task, monkeypatch=monkeypatch)
    log = json.loads((tmp_path / "out" / "base" / "carried.json").read_text())
    assert log[-1]["task_loss"] < 0.1
    assert log[-1]["loss"] < log[0]["loss"]
    assert "id2label" not in json.loads((tmp_path / "out" / "base" / "config.json").read_text()), "a base has no labels"
    found = elbert.Classifier.load(tmp_path / "out" / "classifier").predict(["w7 w8 w9 w10", "w40 w41 w42 w43"])
    assert [one.label for one in found] == ["low", "high"]
    # It continues with the head that it has learned.
    carry(
        packed,
        tmp_path / "more",
        "--minutes",
        0,
        "--resume",
        tmp_path / "out" / "classifier",
        *task,
        monkeypatch=monkeypatch,
    )
    one, other = (load_file(tmp_path / name / "classifier" / "model.safetensors") for name in ("out", "more"))
    assert all(torch.equal(other[name], value) for name, value in one.items())


def test_labelled_texts_come_in_batches_of_one_length_with_their_labels(packed, tmp_path):
    from labelled import LabelledTexts

    texts = [" ".join(f"w{i}" for i in range(7, 8 + length)) for length in (1, 2, 3, 9)]
    pq.write_table(pa.table({"text": texts, "label": [0, 1, 2, 3]}), tmp_path / "train.parquet")
    (tmp_path / "labels.json").write_text('["a", "b", "c", "d"]')
    task = LabelledTexts.read(tmp_path / "train.parquet", packed / "teacher", 6)
    lengths = {0: 4, 1: 5, 2: 6, 3: 6}  # with [CLS] and [SEP], cut to 6
    for ids, labels in itertools.islice(task.batches(24, 0), 20):
        assert 24 <= ids.numel() < 24 + ids.shape[1]
        assert all(lengths[label] == ids.shape[1] for label in labels.tolist())


def test_several_tasks_come_in_turn_and_long_texts_are_cut_to_common_lengths(packed, tmp_path):
    from labelled import cut, label_batches, read_tasks

    for name, words in (("first", 2), ("second", 3)):
        (tmp_path / name).mkdir()
        text = " ".join(f"w{i}" for i in range(7, 7 + words))
        pq.write_table(pa.table({"text": [text] * 5, "label": [0, 1, 0, 1, 0]}), tmp_path / name / "train.parquet")
        (tmp_path / name / "labels.json").write_text('["a", "b"]')
    files = [tmp_path / name / "train.parquet" for name in ("first", "second")]
    batches = label_batches(read_tasks(files, packed / "teacher", 16), 12, 0)
    assert [ids.shape[1] for ids, _ in itertools.islice(batches, 6)] == [4, 5] * 3

    (tmp_path / "second" / "labels.json").write_text('["a", "c"]')
    with pytest.raises(SystemExit, match=r"expected the labels of .*\['a', 'b'\], got \['a', 'c'\]"):
        read_tasks(files, packed / "teacher", 16)

    assert cut(list(range(64))) == list(range(64))
    assert cut(list(range(100))) == [*range(95), 99]
    assert cut(list(range(96))) == list(range(96))


def test_sentences_are_paired_with_near_ones_that_are_not_the_same(packed):
    from neighbours import draw_sentences, find_neighbours, pair
    from packed_corpus import PackedCorpus

    rng = np.random.default_rng(0)
    vectors = torch.nn.functional.normalize(torch.randn(300, 8), dim=-1)
    vectors[1] = vectors[0]  # a copy
    partners = pair(vectors, rng)
    ranks = (vectors @ vectors.T).argsort(descending=True).argsort()[np.arange(300), partners]
    assert ranks.min() >= 1
    assert ranks.max() <= 65
    assert (ranks <= 8).float().mean() > 0.4, "ranks are even on a logarithmic scale"
    assert partners[0] != 1
    assert partners[1] != 0
    assert pair(torch.ones(3, 8) / 8**0.5, rng).tolist() == [-1, -1, -1], "all are the same"

    numbers = draw_sentences(PackedCorpus.read(packed), 30, rng)
    assert len(set(numbers.tolist())) == len(numbers)
    count = find_neighbours(packed, 30, 0)
    corpus = PackedCorpus.read(packed)
    assert corpus.alike.shape == (count, 2)
    assert count > 30
    assert (corpus.alike[:, 0] != corpus.alike[:, 1]).all()


def test_a_folder_without_weights_cannot_be_continued(packed, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="no weights"):
        carry(packed, tmp_path / "out", "--resume", tmp_path / "empty", monkeypatch=monkeypatch)


def test_pairs_are_compared_by_what_the_teacher_gives_for_each_segment_alone(packed):
    from carry_general import Likeness
    from teacher import Teacher

    likeness = Likeness(Teacher(2, packed / "teacher").eval())
    first, second, other = torch.tensor([7, 8, 9]), torch.tensor([30, 31]), torch.tensor([5, 6, 7, 8, 9, 10])
    cls, sep = torch.tensor([101]), torch.tensor([102])
    ids = torch.stack([torch.cat([cls, first, sep, second, sep]), torch.cat([cls, other, sep])])
    types = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1], [0] * 8])
    found = likeness.compare(ids[:1], types[:1])
    with torch.no_grad():
        bert = likeness.teacher.bert
        alone = [bert(torch.cat([cls, text, sep])[None]).last_hidden_state[0].mean(0) for text in (first, second)]
        assert found.item() == pytest.approx(torch.cosine_similarity(*alone, dim=0).item(), abs=1e-5)
        likeness.reader.weight.zero_(), likeness.reader.bias.copy_(found)
    assert likeness(torch.randn(12, 2, 16), ids, types).item() == pytest.approx(0, abs=1e-6)
    likeness(torch.randn(12, 1, 16), ids[1:], types[1:]).backward()  # no pair: gradients of 0, as many as with pairs
    assert [float(parameter.grad.abs().sum()) for parameter in likeness.reader.parameters()] == [0, 0]


@pytest.mark.parametrize("share", [None, 0.25])
def test_two_states_are_averaged(packed, tmp_path, monkeypatch, share):
    for seed in (0, 1):
        some = ["--steps", 2, "--rate", 0.1, "--seed", seed]
        carry(packed, tmp_path / str(seed), *some, monkeypatch=monkeypatch)
    one, other = (tmp_path / str(seed) / "base" for seed in (0, 1))
    option = [] if share is None else ["--share", str(share)]
    monkeypatch.setattr(sys, "argv", ["average.py", str(one), str(other), str(tmp_path / "mean"), *option])
    runpy.run_path(str(RECIPES / "average.py"), run_name="__main__")
    weights = [
        {name: value.float() for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}
        for folder in (one, other, tmp_path / "mean")
    ]
    expected = {name: torch.lerp(value, weights[1][name], share or 0.5) for name, value in weights[0].items()}
    assert all(torch.allclose(value, expected[name], atol=1e-3) for name, value in weights[2].items())
    assert "id2label" not in json.loads((tmp_path / "mean" / "config.json").read_text())
