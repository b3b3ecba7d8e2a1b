"""Families of encoders, as data: how each names its sizes in ``config.json`` and its weights on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LayerNames:
    """The parts of one layer, in the order in which a row meets them; each has a weight and a bias."""

    query: str
    key: str
    value: str
    dense: str
    attention_norm: str
    widen: str
    narrow: str
    norm: str


@dataclass(frozen=True)
class HeadNames:
    """``classifier(activation(pooler(row)))``: the two maps' names, and the activation by transformers' name."""

    pooler: str
    activation: str
    classifier: str


@dataclass(frozen=True, eq=False)  # one object of each, compared by identity
class Backbone:
    """One family, as transformers saves its sequence classifier.

    stem:        what the names of transformers' classes begin with
    prefix:      what the names of the encoder's weights begin with
    defaults:    our names of the sizes that ``config.json`` gives, and what holds where it leaves one out
    layers:      the prefix of a layer of group ``{group}``, by its place ``{inner}`` in the group
    surplus:     prefixes of what other tasks and older releases saved beside a classifier
    hidden_act:  the activation where ``config.json`` leaves it out
    projection:  the map from the embedding's width to the hidden width; None where these are one
    segments:    the embedding of which text of a pair a token belongs to; None where there is none
    shared:      whether depths may share layers, and heads be of several kinds; else every depth has its own layer,
                 and one head reads the first token
    padding:     the setting whose value no position goes below: the token of that id stands there, the first other
                 one at the next (RoBERTa); None where positions are counted from 0
    renamed:     their names of sizes and settings, where they are not ours
    fixed:       settings that must have this value where they are present
    """

    title: str
    model_types: tuple[str, ...]
    stem: str
    prefix: str
    defaults: Mapping[str, int]
    layers: str
    parts: LayerNames
    head: HeadNames
    surplus: tuple[str, ...]
    hidden_act: str = "gelu"
    projection: str | None = None
    segments: str | None = "token_type_embeddings"
    shared: bool = False
    padding: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classifier(self) -> str:
        """transformers' class of such a classifier."""
        return f"{self.stem}ForSequenceClassification"

    def theirs(self, name: str) -> str:
        """A size's or setting's name in ``config.json``."""
        return self.renamed.get(name, name)

    def layer(self, group: int, inner: int) -> str:
        """The prefix of one layer's weights."""
        return self.layers.format(group=group, inner=inner)

    def embedding(self, part: str) -> str:
        """The name of a part of the embedding."""
        return f"{self.prefix}.embeddings.{part}"


# What would change the numbers, and the only value of each that is computed here.
ENCODER_ONLY = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
BASE = {  # BertConfig's own: a config.json leaves out what equals them
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
BERT_PARTS = LayerNames(
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    dense="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    widen="intermediate.dense",
    narrow="output.dense",
    norm="output.LayerNorm",
)

ALBERT = Backbone(
    title="ALBERT",
    model_types=("albert", "elbert"),  # elbert: what plain ALBERT cannot express, so that other tools refuse it
    stem="Albert",
    prefix="albert",
    fixed=ENCODER_ONLY,
    defaults={  # AlbertConfig's own
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_hidden_layers": 12,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    },
    layers="albert.encoder.albert_layer_groups.{group}.albert_layers.{inner}",
    parts=LayerNames(
        query="attention.query",
        key="attention.key",
        value="attention.value",
        dense="attention.dense",
        attention_norm="attention.LayerNorm",
        widen="ffn",
        narrow="ffn_output",
        norm="full_layer_layer_norm",
    ),
    head=HeadNames("albert.pooler", "tanh", "classifier"),
    surplus=("predictions.", "sop_classifier."),
    hidden_act="gelu_new",
    projection="albert.encoder.embedding_hidden_mapping_in",
    shared=True,
)
BERT = Backbone(
    title="BERT",
    model_types=("bert",),
    stem="Bert",
    prefix="bert",
    fixed=ENCODER_ONLY,
    defaults=BASE,
    layers="bert.encoder.layer.{group}",
    parts=BERT_PARTS,
    head=HeadNames("bert.pooler.dense", "tanh", "classifier"),
    surplus=("cls.",),
)
ROBERTA = Backbone(
    title="RoBERTa",
    model_types=("roberta",),
    stem="Roberta",
    prefix="roberta",
    fixed=ENCODER_ONLY,
    defaults=BASE | {"vocab_size": 50265},
    layers="roberta.encoder.layer.{group}",
    parts=BERT_PARTS,
    head=HeadNames("classifier.dense", "tanh", "classifier.out_proj"),
    surplus=("lm_head.", "roberta.pooler."),
    padding="pad_token_id",
)
DISTILBERT = Backbone(
    title="DistilBERT",
    model_types=("distilbert",),
    stem="DistilBert",
    prefix="distilbert",
    # Its tokenizer may tell the texts of a pair apart as BERT's does; the model does not look at it.
    defaults=BASE | {"num_hidden_layers": 6},
    layers="distilbert.transformer.layer.{group}",
    parts=LayerNames(
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        dense="attention.out_lin",
        attention_norm="sa_layer_norm",
        widen="ffn.lin1",
        narrow="ffn.lin2",
        norm="output_layer_norm",
    ),
    head=HeadNames("pre_classifier", "relu", "classifier"),
    surplus=("vocab_",),
    segments=None,
    renamed={
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
    },
    fixed=ENCODER_ONLY | {"layer_norm_eps": 1e-12},  # not a setting of it
)
BACKBONES = (ALBERT, BERT, ROBERTA, DISTILBERT)
BY_MODEL_TYPE = {model_type: backbone for backbone in BACKBONES for model_type in backbone.model_types}
