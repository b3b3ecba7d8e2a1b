"""The shape of a model, read from ``config.json`` without transformers (which takes seconds to import)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from elbert.errors import BundleError
from elbert.model.families import ALBERT, BACKBONES, BY_MODEL_TYPE, Backbone


def find_backbone(values: Mapping[str, Any], source: str) -> Backbone:
    """The family of a ``config.json``.

    Raises:
        BundleError: it is none of ours, its parts name two, or it is used in a way that is not computed here.
    """
    kind, usual = values.get("model_type"), [backbone.model_types[0] for backbone in BACKBONES]
    backbone = BY_MODEL_TYPE.get(kind) if isinstance(kind, str) else None
    if backbone is None:
        raise BundleError(
            f"{source}: model_type is {kind!r}, expected {', '.join(map(repr, usual))}; "
            "give the folder or hub id of such a classifier"
        )
    named = values.get("architectures")
    for name in named if isinstance(named, list) else []:
        other = next((b for b in BACKBONES if str(name).startswith(b.stem)), backbone)
        if other is not backbone:
            raise BundleError(
                f"{source}: model_type is {kind!r}, expected {other.model_types[0]!r}, because architectures names "
                f"{name!s:.80}; give the folder or hub id of one classifier, as transformers saved it"
            )
    for name, value in backbone.fixed.items():
        if values.get(name, value) not in (value, None):
            raise BundleError(
                f"{source}: {name} is {values[name]!r:.80}, expected {value!r}: "
                f"no other {backbone.title} is computed here"
            )
    return backbone


def read_sizes(values: Mapping[str, Any], backbone: Backbone, source: str) -> dict[str, int]:
    """The sizes by our names.

    Raises:
        BundleError: one is no whole number from 1, or they do not fit each other.
    """
    sizes = {name: values.get(backbone.theirs(name), default) for name, default in backbone.defaults.items()}
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise BundleError(f"{source}: {backbone.theirs(name)} is {size!r}, expected a whole number from 1")
    width, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    if width % heads:
        raise BundleError(
            f"{source}: {backbone.theirs('hidden_size')} {width} is no multiple of "
            f"{backbone.theirs('num_attention_heads')} {heads}"
        )
    if backbone.shared:
        return sizes
    return sizes | {"embedding_size": width, "num_hidden_groups": sizes["num_hidden_layers"], "inner_group_num": 1}


def read_padding(values: Mapping[str, Any], backbone: Backbone, sizes: Mapping[str, int], source: str) -> int | None:
    """The id and the position that positions are counted behind; None where they are counted from 0.

    Raises:
        BundleError: it is no position.
    """
    if backbone.padding is None:
        return None
    padding, most = values.get(backbone.padding, 1), sizes["max_position_embeddings"]
    if isinstance(padding, bool) or not isinstance(padding, int) or not 0 <= padding < most - 1:
        raise BundleError(
            f"{source}: {backbone.padding} is {padding!r}, expected a whole number below max_position_embeddings "
            f"{most} less 1: positions are counted behind it"
        )
    return padding


Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
Pooling = Literal["cls", "mean"]


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of a classifier, in ALBERT's words, plus what its exit heads read.

    ``pooling`` is ``cls`` (every family's own) or ``mean`` over the row's tokens; ``exit_heads`` is 1 where all
    depths share the classifier's head, or k where each block of depths has its own. Where depths have layers of their
    own, every depth is a group. ``padding`` is the id and the position that positions are counted behind, if they are.
    """

    vocab_size: int
    embedding_size: int
    hidden_size: int
    num_hidden_layers: int
    num_hidden_groups: int
    inner_group_num: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    hidden_act: str
    layer_norm_eps: float
    labels: tuple[str, ...]
    problem: Problem
    pooling: Pooling = "cls"
    exit_heads: int = 1
    backbone: Backbone = ALBERT
    padding: int | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> ModelConfig:
        """From the contents of a ``config.json``; ``source`` names the file in errors.

        Raises:
            BundleError: it is of no family that is known, asks for what is not computed here, or a size is missing or
                out of range.
        """
        backbone = find_backbone(values, source)
        sizes = read_sizes(values, backbone, source)
        pooling, heads = values.get("pooling", "cls"), values.get("exit_heads", 1)
        if (
            pooling not in get_args(Pooling)
            or not isinstance(heads, int)
            or not 1 <= heads <= (sizes["num_hidden_layers"] if backbone.shared else 1)
            or (pooling != "cls" and not backbone.shared)
        ):
            raise BundleError(
                f"{source}: expected pooling 'cls' or 'mean', and exit_heads from 1 to the depths"
                + ("" if backbone.shared else f"; a {backbone.title} has 'cls' and 1")
            )
        eps = values.get("layer_norm_eps", 1e-12)
        if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 <= eps < 1:
            raise BundleError(f"{source}: layer_norm_eps is {eps!r}, expected a small number such as 1e-12")
        labels = read_labels(values, source)
        return cls(
            **sizes,
            hidden_act=str(values.get(backbone.theirs("hidden_act"), backbone.hidden_act)),
            layer_norm_eps=float(eps),
            labels=labels,
            problem=read_problem(values.get("problem_type"), len(labels), source),
            pooling=pooling,
            exit_heads=heads,
            backbone=backbone,
            padding=read_padding(values, backbone, sizes, source),
        )

    @property
    def depths(self) -> int:
        """How many times a layer is applied at most."""
        return self.num_hidden_layers

    @property
    def max_length(self) -> int:
        """The most tokens that a row can have."""
        return self.max_position_embeddings - (0 if self.padding is None else self.padding + 1)

    @property
    def multi_label(self) -> bool:
        """Whether every label is a question of its own."""
        return self.problem == "multi_label_classification"

    def group(self, depth: int) -> int:
        """Which layer group takes a row to ``depth`` (from 1)."""
        # transformers' own expression, rounding included: with 18 depths and 14 groups exact division differs.
        return int((depth - 1) / (self.num_hidden_layers / self.num_hidden_groups))

    def head(self, depth: int) -> int:
        """Which exit head reads a row at ``depth`` (from 1)."""
        return (depth - 1) * self.exit_heads // self.num_hidden_layers

    @property
    def is_all_shared(self) -> bool:
        """Whether one layer group and one head serve all depths, so that all rows may share every call."""
        return self.num_hidden_groups == 1 and self.exit_heads == 1

    def weights_key(self, depth: int) -> tuple[int, int]:
        """What takes a row that stands at ``depth`` (from 0) one deeper: rows of one need may share a call."""
        return self.group(depth + 1), self.head(depth + 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """``[..., classes]``: softmax, or per-label sigmoid, or for regression the values as they are."""
        if self.problem == "regression":
            return logits
        return logits.sigmoid() if self.multi_label else logits.softmax(-1)


def read_labels(values: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Label names in index order; transformers' ``LABEL_i`` where none are given.

    Raises:
        BundleError: they are not names by index, one each.
    """
    names, count = values.get("id2label"), values.get("num_labels", 2)
    if not names:
        names = {index: f"LABEL_{index}" for index in range(count if isinstance(count, int) else 0)}
    try:
        by_index = {int(index): str(name) for index, name in names.items()}
    except (AttributeError, TypeError, ValueError):
        by_index = {}
    # Scores go by label: two labels of one name would be one key.
    if not by_index or sorted(by_index) != list(range(len(by_index))) or len(set(by_index.values())) < len(by_index):
        raise BundleError(f'{source}: id2label is {names!r:.200}, expected distinct names by index: {{"0": "a", …}}')
    return tuple(by_index[index] for index in range(len(by_index)))


def read_problem(problem: str | None, labels: int, source: str) -> Problem:
    """The kind of question, by transformers' default: one label is a regression, more are classes."""
    if problem is None:
        return "regression" if labels == 1 else "single_label_classification"
    for known in get_args(Problem):
        if problem == known:
            kind: Problem = known
            return kind
    raise BundleError(f"{source}: problem_type is {problem!r}, expected one of {', '.join(get_args(Problem))}")
