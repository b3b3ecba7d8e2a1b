"""The supported families of encoders, as data: their names of sizes in ``config.json`` and of weights on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LayerNames:
    """The names of the parts of a layer, in the order of computation; each part has a weight and a bias."""

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
    """The names of the parts of a head, ``classifier(activation(pooler(x)))``; the activation is transformers' name."""

    pooler: str
    activation: str
    classifier: str


@dataclass(frozen=True, eq=False)  # one instance per family, compared by identity
class Backbone:
    """A family of encoders, as transformers saves its sequence classifier.

    title:       the name of the family in messages
    model_types: accepted values of ``model_type`` in ``config.json``, the usual one first
    stem:        the prefix of the names of transformers' classes
    prefix:      the prefix of the names of the encoder's weights
    defaults:    the sizes in ``config.json``, by ALBERT's names, with the value of each if it is missing
    layers:      the prefix of a layer's weights, with the layer group ``{group}`` and the index ``{inner}`` within it
    parts:       the names of the parts of a layer
    head:        the names of the parts of the classifier's head
    surplus:     prefixes of weights to ignore, which other tasks and older releases saved with a classifier
    hidden_act:  the activation if ``config.json`` has none
    projection:  the map from the embedding width to the hidden width; None if the widths are equal
    segments:    the embedding of the segment of a token (the first or second text of a pair); None without segments
    shared:      whether depths can share layers, exit heads can be separate for blocks of depths, and pooling can be
                 ``mean``; if not, every depth has a separate layer, and one head uses the first token
    padding:     the setting with the id of padding. Tokens with this id have the position of the same number, and the
                 first other token has the next position (RoBERTa); None if positions start at 0
    renamed:     the family's names of sizes and settings where they differ from ALBERT's
    fixed:       settings that must have this value if they are present
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
        """The name of transformers' class for sequence classifiers of this family."""
        return self.class_name("ForSequenceClassification")

    def class_name(self, architecture: str) -> str:
        """Return the name of transformers' class for a task, whose name ends with ``architecture``."""
        return f"{self.stem}{architecture}"

    def head_prefixes(self, *, per_token: bool) -> tuple[str, ...]:
        """Return the prefixes of the weights of the classifier's head: pooler and classifier, or the latter alone."""
        return (f"{TOKEN_HEAD}.",) if per_token else (f"{self.head.pooler}.", f"{self.head.classifier}.")

    def theirs(self, name: str) -> str:
        """Return the name in ``config.json`` of a size or setting, from ALBERT's name."""
        return self.renamed.get(name, name)

    def layer(self, group: int, inner: int) -> str:
        """Return the prefix of the weights of layer ``inner`` in ``group``, both from 0."""
        return self.layers.format(group=group, inner=inner)

    def embedding(self, part: str) -> str:
        """Return the full name of a part of the embedding."""
        return f"{self.prefix}.embeddings.{part}"


TOKEN_HEAD = "classifier"  # the linear map of token classifiers, in all families

# Settings that change the computation, with the only supported value of each.
ENCODER_ONLY = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
BASE = {  # the defaults of BertConfig: a config.json can omit values that equal them
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
    model_types=("albert", "elbert"),  # elbert: has settings that ALBERT lacks, so other tools must reject it
    stem="Albert",
    prefix="albert",
    fixed=ENCODER_ONLY,
    defaults={  # the defaults of AlbertConfig
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
    surplus=("predictions.", "sop_classifier.", "albert.pooler."),
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
    surplus=("cls.", "bert.pooler."),
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
    # The tokenizer may return segment ids for a pair of texts, as BERT's does; the model does not use them.
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
    fixed=ENCODER_ONLY | {"layer_norm_eps": 1e-12},  # not a setting of DistilBertConfig
)
BACKBONES = (ALBERT, BERT, ROBERTA, DISTILBERT)
BY_MODEL_TYPE = {model_type: backbone for backbone in BACKBONES for model_type in backbone.model_types}
