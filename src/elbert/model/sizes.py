"""The family and the sizes that a ``config.json`` tells, held to what is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elbert.errors import BundleError
from elbert.model.backbone import Backbone
from elbert.model.backbones import BACKBONES, BY_MODEL_TYPE


def backbone_of(values: Mapping[str, Any], source: str) -> Backbone:
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


def sizes_of(values: Mapping[str, Any], backbone: Backbone, source: str) -> dict[str, int]:
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


def padding_of(values: Mapping[str, Any], backbone: Backbone, sizes: Mapping[str, int], source: str) -> int | None:
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
