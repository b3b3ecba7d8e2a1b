"""What is to be known of a family of encoders: how it names its sizes in ``config.json`` and its weights on disk."""

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


@dataclass(frozen=True, eq=False)  # one of each: they are told apart by who they are
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
    fixed:       settings that must have this value, if they are said
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
