"""The model configuration, read from ``config.json`` without transformers, whose import takes seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from elbert._display import indefinite, plural
from elbert.errors import BundleError
from elbert.model.families import ALBERT, BACKBONES, BY_MODEL_TYPE, Backbone
from elbert.tasks import TASKS, Task, TokenClassification, infer_problem

# Far above every published model: a damaged or hostile config.json must not reserve memory before weights are checked.
MAX_SIZES = {
    "vocab_size": 10_000_000,
    "embedding_size": 65_536,
    "hidden_size": 65_536,
    "num_hidden_layers": 1_000,
    "num_hidden_groups": 1_000,
    "inner_group_num": 100,
    "num_attention_heads": 4_096,
    "intermediate_size": 1_048_576,
    "max_position_embeddings": 1_048_576,
    "type_vocab_size": 1_024,
}
MAX_LABELS = 100_000


def find_backbone(values: Mapping[str, Any], source: str) -> Backbone:
    """Find the model family of a ``config.json``; ``source`` names the file in errors.

    Raises:
        BundleError: the family is not supported, ``model_type`` and ``architectures`` name two families, or a setting
            has a value that is not supported.
    """
    model_type, supported = values.get("model_type"), [backbone.model_types[0] for backbone in BACKBONES]
    backbone = BY_MODEL_TYPE.get(model_type) if isinstance(model_type, str) else None
    if backbone is None:
        raise BundleError(
            f"{source}: model_type is {model_type!r:.80}, expected {', '.join(map(repr, supported))}; "
            "give the folder or hub id of such a classifier"
        )
    architectures = values.get("architectures")
    for name in architectures if isinstance(architectures, list) else []:
        other = next((b for b in BACKBONES if str(name).startswith(b.stem)), backbone)
        if other is not backbone:
            raise BundleError(
                f"{source}: model_type is {model_type!r}, expected {other.model_types[0]!r}, because architectures "
                f"names {name!s:.80}; give the folder or hub id of one classifier, as transformers saved it"
            )
    for name, value in backbone.fixed.items():
        if values.get(name, value) not in (value, None):
            raise BundleError(
                f"{source}: {name} is {values[name]!r:.80}, expected {value!r}: "
                f"other {backbone.title} models are not supported"
            )
    return backbone


def read_sizes(values: Mapping[str, Any], backbone: Backbone, source: str) -> dict[str, int]:
    """Read the sizes of a ``config.json``, with ALBERT's names as keys; a missing size has the family's default.

    Raises:
        BundleError: a size is not a whole number from 1, or the hidden width is not a multiple of the attention heads.
    """
    sizes = {name: values.get(backbone.theirs(name), default) for name, default in backbone.defaults.items()}
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise BundleError(f"{source}: {backbone.theirs(name)} is {size!r:.80}, expected a whole number from 1")
        if size > MAX_SIZES[name]:
            raise BundleError(f"{source}: {backbone.theirs(name)} is {size}, expected at most {MAX_SIZES[name]:,}")
    width, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    if width % heads:
        raise BundleError(
            f"{source}: {backbone.theirs('hidden_size')} {width} is not a multiple of "
            f"{backbone.theirs('num_attention_heads')} {heads}"
        )
    if backbone.shared and sizes["num_hidden_groups"] > sizes["num_hidden_layers"]:
        raise BundleError(
            f"{source}: num_hidden_groups is {sizes['num_hidden_groups']}, expected at most num_hidden_layers, "
            f"{sizes['num_hidden_layers']}"
        )
    if backbone.shared:
        return sizes
    return sizes | {"embedding_size": width, "num_hidden_groups": sizes["num_hidden_layers"], "inner_group_num": 1}


def read_padding(values: Mapping[str, Any], backbone: Backbone, sizes: Mapping[str, int], source: str) -> int | None:
    """Read the id of padding, which is also the position before a row's first one; None if positions start at 0.

    Raises:
        BundleError: the value is not a position, or no position remains after it.
    """
    if backbone.padding is None:
        return None
    padding, most = values.get(backbone.padding, 1), sizes["max_position_embeddings"]
    if isinstance(padding, bool) or not isinstance(padding, int) or not 0 <= padding < most - 1:
        raise BundleError(
            f"{source}: {backbone.padding} is {padding!r:.80}, expected a whole number below max_position_embeddings "
            f"{most} less 1: positions are counted behind it"
        )
    return padding


Pooling = Literal["cls", "mean"]
Aggregation = Literal["simple", "first"]


@dataclass(frozen=True)
class ModelConfig:
    """The configuration of a classifier, with ALBERT's names, and of its exit heads.

    ``pooling`` is the input of the exit heads: ``cls``, the first token (the default of every family), or ``mean`` over
    the row's tokens. ``exit_heads`` is 1 if all depths share the classifier's head, or k if each of k blocks of depths
    has a separate head. In a family without shared layers, every depth is a layer group. ``padding`` is the id of
    padding and the position before a row's first one (RoBERTa), or None if positions start at 0. ``label_deviation`` is
    the standard deviation of the training labels, the unit of signals over values; None if the folder has none.
    ``aggregation`` is how a token classifier's tags become entities, with transformers' names: ``simple``, of all
    pieces, or ``first``, of the first piece of each word (``aggregation_strategy`` in the file).
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
    problem: str
    pooling: Pooling = "cls"
    exit_heads: int = 1
    backbone: Backbone = ALBERT
    padding: int | None = None
    label_deviation: float | None = None
    aggregation: Aggregation = "simple"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> ModelConfig:
        """Create the configuration from the contents of a ``config.json``; ``source`` names the file in errors.

        Raises:
            BundleError: the family or a setting is not supported, or a size or the labels are invalid.
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
                + ("" if backbone.shared else f"; {indefinite(backbone.title)} has 'cls' and 1")
            )
        eps = values.get("layer_norm_eps", 1e-12)
        if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 <= eps < 1:
            raise BundleError(f"{source}: layer_norm_eps is {eps!r:.80}, expected a small number such as 1e-12")
        labels = read_labels(values, source)
        return cls(
            **sizes,
            hidden_act=str(values.get(backbone.theirs("hidden_act"), backbone.hidden_act)),
            layer_norm_eps=float(eps),
            labels=labels,
            problem=TokenClassification.name
            if is_token_classifier(values)
            else read_problem(values.get("problem_type"), len(labels), source),
            pooling=pooling,
            exit_heads=heads,
            backbone=backbone,
            padding=read_padding(values, backbone, sizes, source),
            label_deviation=read_label_deviation(values, source),
            aggregation=read_aggregation(values, source),
        )

    @property
    def depths(self) -> int:
        """The maximum number of times that a layer is applied to a row."""
        return self.num_hidden_layers

    @property
    def max_length(self) -> int:
        """The maximum number of tokens of a row."""
        return self.max_position_embeddings - (0 if self.padding is None else self.padding + 1)

    @property
    def task(self) -> Task:
        """What the outputs mean."""
        return TASKS[self.problem].bind(self.labels)

    @property
    def multi_label(self) -> bool:
        """Whether each label is predicted independently, so that a text can have several."""
        return self.task.multi_label

    @property
    def scale(self) -> float:
        """The unit of signals over values: the standard deviation of the training labels, or 1."""
        return self.label_deviation or 1.0

    def group(self, depth: int) -> int:
        """Return the index of the layer group that computes ``depth`` (from 1)."""
        # The expression of transformers, with its rounding: for 18 depths and 14 groups, exact division differs.
        return int((depth - 1) / (self.num_hidden_layers / self.num_hidden_groups))

    def head(self, depth: int) -> int:
        """Return the index of the exit head for ``depth`` (from 1)."""
        return (depth - 1) * self.exit_heads // self.num_hidden_layers

    @property
    def is_all_shared(self) -> bool:
        """Whether all depths share one layer group and one exit head, so that any rows can share a call."""
        return self.num_hidden_groups == 1 and self.exit_heads == 1

    def weights_key(self, depth: int) -> tuple[int, int]:
        """Return the layer group and exit head of the step from ``depth`` (from 0) to the next depth.

        Rows with equal keys can share a call.
        """
        return self.group(depth + 1), self.head(depth + 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Convert logits ``[..., classes]``: softmax, or sigmoid per label; values are unchanged."""
        return self.task.activate(logits)


def read_labels(values: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Read the label names in index order; without names, ``LABEL_i`` as in transformers.

    Raises:
        BundleError: the names are not a mapping from each index to a distinct name.
    """
    names, count = values.get("id2label"), values.get("num_labels", 2)
    if not names:
        bounded = isinstance(count, int) and count <= MAX_LABELS
        names = {index: f"LABEL_{index}" for index in range(count if bounded else 0)}
    try:
        by_index = {int(index): str(name) for index, name in names.items()}
        "".join(by_index.values()).encode()  # a lone surrogate cannot be printed or sent
    except (AttributeError, TypeError, ValueError):
        by_index = {}
    if len(by_index) > MAX_LABELS:
        raise BundleError(f"{source}: id2label has {plural(len(by_index), 'label')}, expected at most {MAX_LABELS:,}")
    # Scores have the labels as keys, so two labels of the same name would collide.
    if not by_index or sorted(by_index) != list(range(len(by_index))) or len(set(by_index.values())) < len(by_index):
        raise BundleError(f'{source}: id2label is {names!r:.200}, expected distinct names by index: {{"0": "a", …}}')
    return tuple(by_index[index] for index in range(len(by_index)))


def is_token_classifier(values: Mapping[str, Any]) -> bool:
    """Whether the weights are those of a token classifier: transformers has no problem type for that."""
    architectures = values.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    return any(str(name).endswith(TokenClassification.architecture) for name in names)


def read_problem(problem: str | None, labels: int, source: str) -> str:
    """Check the problem type; the default is that of transformers.

    Raises:
        BundleError: the problem type is unknown.
    """
    if problem is None:
        return infer_problem(labels)
    if problem not in list(TASKS):  # a list: the value may have any type
        raise BundleError(f"{source}: problem_type is {problem!r:.80}, expected one of {', '.join(TASKS)}")
    return problem


def read_aggregation(values: Mapping[str, Any], source: str) -> Aggregation:
    """Read how tags become entities.

    Raises:
        BundleError: it is neither of the two ways.
    """
    strategy = values.get("aggregation_strategy", "simple")
    if strategy not in list(get_args(Aggregation)):
        raise BundleError(f"{source}: aggregation_strategy is {strategy!r:.80}, expected 'simple' or 'first'")
    return "first" if strategy == "first" else "simple"


def read_label_deviation(values: Mapping[str, Any], source: str) -> float | None:
    """Read the standard deviation of the training labels.

    Raises:
        BundleError: it is not a positive number.
    """
    deviation = values.get("label_deviation")
    if deviation is None:
        return None
    if isinstance(deviation, bool) or not isinstance(deviation, (int, float)) or not 0 < deviation < math.inf:
        raise BundleError(f"{source}: label_deviation is {deviation!r:.80}, expected a number above 0")
    return float(deviation)
