"""The safetensors of a classifier, checked name by name and shape by shape."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from elbert.errors import BundleError
from elbert.model.config import ModelConfig
from elbert.model.families import Backbone

# Buffers of the embedding that older releases of transformers saved; they hold no weight.
BUFFERS = ("position_ids", "token_type_ids")


def load_weights(folder: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Every weight of the classifier in ``folder`` in float32, by its name in transformers.

    Raises:
        BundleError: no safetensors, an unreadable file, missing or surplus weights, a wrong shape, NaN.
    """
    files = weight_files(folder)
    found = {name: weight for file in files for name, weight in read_tensors(file).items()}
    shapes = expected_shapes(config)
    check_weights(found, shapes, str(files[0]), config.backbone)
    return {name: found[name].to(torch.float32) for name in shapes}


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of one safetensors file.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        with safe_open(file, framework="pt") as tensors:
            return {today(name): tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 - no dict
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{file}: not a readable safetensors file ({error}); download or save it again") from error


def today(name: str) -> str:
    """A weight's name without TensorFlow's words for a norm's, which old releases and transformers 5.0 write."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def check_weights(
    found: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], where: str, backbone: Backbone
) -> None:
    """Hold the weights found to those expected; what the family is known to leave behind is no surplus.

    Raises:
        BundleError: missing or surplus weights, a wrong shape or type, NaN.
    """
    resave = f"save it again from {backbone.classifier} with transformers' save_pretrained"
    missing = sorted(shapes.keys() - found.keys())
    buffers = {backbone.embedding(part) for part in BUFFERS}
    surplus = sorted(n for n in found.keys() - shapes.keys() - buffers if not n.startswith(backbone.surplus))
    if missing:
        remedy = TRAIN if _lacks_only_a_head(missing, found, backbone) else resave
        raise BundleError(f"{where}: missing {_some(missing)}; {remedy}")
    if surplus:
        raise BundleError(
            f"{where}: {_some(surplus)} belong to no {backbone.title} classifier of this config.json; {resave}"
        )
    for name, shape in shapes.items():
        weight = found[name]
        if tuple(weight.shape) != shape:
            raise BundleError(
                f"{where}: {name} has the shape {list(weight.shape)}, config.json asks for {list(shape)}; {resave}"
            )
        if not weight.is_floating_point():
            raise BundleError(f"{where}: {name} holds {weight.dtype}, expected floating point; {resave}")
        if not bool(weight.isfinite().all()):
            raise BundleError(f"{where}: {name} holds NaN or infinity; the training went wrong or the file is damaged")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, in order.

    Raises:
        BundleError: there are none.
    """
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            names = sorted({Path(name) for name in json.loads(index.read_text())["weight_map"].values()})
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise BundleError(f"{index}: not a readable index of weights; download or save it again") from error
        if not names:
            raise BundleError(f"{index}: names no file; download or save it again")
        if any(name.name != str(name) or str(name) == ".." for name in names):
            raise BundleError(f"{index}: names a file outside its folder; download or save it again")
        return [folder / name for name in names]
    single = folder / "model.safetensors"
    if single.exists():
        return [single]
    pickled = " (pytorch_model.bin is a pickle, which can run code and is never loaded)"
    had = pickled if (folder / "pytorch_model.bin").exists() else ""
    raise BundleError(
        f"{folder}: no model.safetensors{had}; save the model once with transformers: model.save_pretrained(folder)"
    )


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight that a classifier of this configuration has."""
    e, h, classes, family = config.embedding_size, config.hidden_size, len(config.labels), config.backbone
    shapes: dict[str, tuple[int, ...]] = {
        f"{family.embedding('word_embeddings')}.weight": (config.vocab_size, e),
        f"{family.embedding('position_embeddings')}.weight": (config.max_position_embeddings, e),
        **_pair(family.embedding("LayerNorm"), e),
        **_pair(family.head.pooler, h, h),
        **_pair(family.head.classifier, classes, h),
    }
    if family.segments:
        shapes[f"{family.embedding(family.segments)}.weight"] = (config.type_vocab_size, e)
    if family.projection:
        shapes |= _pair(family.projection, h, e)
    for layer in layer_names(config):
        for part, shape in layer_shapes(config).items():
            shapes |= _pair(f"{layer}.{part}", *shape)
    for head in range(config.exit_heads - 1):
        shapes |= _pair(f"earlier_heads.{head}.pooler", h, h)
        shapes |= _pair(f"earlier_heads.{head}.classifier", classes, h)
    return shapes


def layer_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every part of one layer."""
    width, inner, parts = config.hidden_size, config.intermediate_size, config.backbone.parts
    shapes: dict[str, tuple[int, ...]] = {parts.widen: (inner, width), parts.narrow: (width, inner)}
    shapes |= dict.fromkeys((parts.query, parts.key, parts.value, parts.dense), (width, width))
    return shapes | dict.fromkeys((parts.attention_norm, parts.norm), (width,))


def layer_names(config: ModelConfig) -> list[str]:
    """The prefixes of all layers, group by group."""
    return [name for group in range(config.num_hidden_groups) for name in group_layers(config, group)]


def group_layers(config: ModelConfig, group: int) -> list[str]:
    """The prefixes of the layers of one group, in the order in which they are applied."""
    return [config.backbone.layer(group, inner) for inner in range(config.inner_group_num)]


def _pair(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _lacks_only_a_head(missing: list[str], found: Container[str], backbone: Backbone) -> bool:
    of_the_head = (f"{backbone.head.pooler}.", f"{backbone.head.classifier}.")
    # An encoder saved by itself has no prefix before its names.
    return all(name.startswith(of_the_head) for name in missing) or "embeddings.word_embeddings.weight" in found


TRAIN = "this is an encoder without a trained classifier: train one with elbert train --model FOLDER"
