"""Attention: the reference model's, every row a distribution; and it is the same model that answers."""

import numpy as np
import pytest
import torch

import elbert
from elbert.evaluation.cost import count_flops
from elbert.explain import explain
from elbert.explain.attention import compute_attention
from elbert.explain.pieces import join_words, most_attended
from elbert.model.reference.albert import ElbertForSequenceClassification


@pytest.mark.parametrize("kind", ["two", "many", "multi", "mean", "inner", "heads", "shallow"])
def test_each_depth_is_a_distribution_over_the_tokens(classifiers, kind):
    explained = explain(classifiers[kind], "a charming film", rounds=0)
    weights = np.array([step.attention for step in explained.steps])
    assert weights.shape == (explained.depths, 5)
    assert weights.min() >= 0
    assert weights.sum(1) == pytest.approx(np.ones(explained.depths), abs=1e-5)
    assert explained.reader == ("mean" if kind == "mean" else "[CLS]")
    assert [p.special for p in explained.tokens] == [True, False, False, False, True]


@pytest.mark.parametrize("kind", ["two", "mean", "inner"])
def test_it_is_read_from_the_layers_by_hand(classifiers, kind):
    """Softmax of the products of queries and keys, layer by layer, for the row that the head reads."""
    classifier = classifiers[kind]
    config = classifier.bundle.config
    (tokens,) = classifier.tokeniser.encode(["a very dull plot"])
    model = ElbertForSequenceClassification.from_pretrained(classifier.bundle.folder).eval()
    with torch.inference_mode():
        hidden = model.albert.embeddings(torch.tensor([tokens.ids]), torch.tensor([tokens.type_ids]))
        hidden = model.albert.encoder.embedding_hidden_mapping_in(hidden)
        heads, rows = config.num_attention_heads, []
        for depth in range(1, config.depths + 1):
            for layer in model.albert.encoder.albert_layer_groups[config.group(depth)].albert_layers:
                looked = layer.attention
                q, k = (
                    part(hidden)[0].reshape(len(tokens.ids), heads, -1).transpose(0, 1)
                    for part in (looked.query, looked.key)
                )
                weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).mean(0)
                hidden = layer(hidden)
                hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            rows.append((weights.mean(0) if kind == "mean" else weights[0]).numpy())
    found = compute_attention(classifier.bundle.folder, config, tokens)
    assert found == pytest.approx(np.stack(rows), abs=1e-5)


def test_words_put_together_and_most_attended():
    explained = explain(elbert.Classifier.load(dtype="float32"), "It's undercut by amateurishness .", rounds=0)
    shown = [word.shown for word in join_words(explained.tokens)]
    assert shown == ["[CLS]", "It", "'", "s", "undercut", "by", "amateurishness", ".", "[SEP]"]
    weights = explained.steps[0].attention
    found, special = most_attended(explained.tokens, weights, 3)
    assert len(found) == 3
    assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)
    every, _ = most_attended(explained.tokens, weights, 100)
    assert sum(share for _, share in every) + special == pytest.approx(1, abs=1e-5)
    assert [p.glued for p in explained.tokens[1:4]] == [False, True, True]


@pytest.mark.parametrize("kind", ["two", "many", "inner", "heads"])
@pytest.mark.parametrize("length", [3, 17])
def test_flops_are_those_that_torch_counts(classifiers, kind, length):
    from torch.utils.flop_counter import FlopCounterMode

    config = classifiers[kind].bundle.config
    folder = classifiers[kind].bundle.folder
    model = ElbertForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.full((1, length), 5)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(ids, torch.ones_like(ids), torch.zeros_like(ids))
    width = config.hidden_size
    unused = 2 * width * width  # transformers' own pooler reads the last depth once more
    assert counter.get_total_flops() == count_flops(config, length, config.depths) + unused
    once = count_flops(config, length, 2, 1)
    assert count_flops(config, length, 2, 2) - once == 2 * width * (width + len(config.labels))
