"""Load the weights of a classifier from safetensors; every name, shape and type is checked."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from elbert._display import quote_error
from elbert._model_files import check_file, read_json
from elbert.errors import BundleError
from elbert.model.config import ModelConfig
from elbert.model.families import TOKEN_HEAD

# Buffers of the embedding that older releases of transformers saved; they are not weights.
BUFFERS = ("position_ids", "token_type_ids")


MAX_WEIGHT_BYTES = 64 << 30


def load_weights(folder: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Load all weights of the classifier in ``folder`` in float32; the keys are their names in transformers.

    Raises:
        BundleError: there is no safetensors file, a file cannot be read, weights are missing or surplus, or a weight
            has a wrong shape or type, NaN or infinity.
    """
    files = weight_files(folder)
    found = {name: weight for file in files for name, weight in read_tensors(file).items()}
    shapes = expected_shapes(config)
    check_weights(found, shapes, str(files[0]), config)
    return {name: found[name].to(torch.float32) for name in shapes}


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file.

    Raises:
        BundleError: the file cannot be read.
    """
    check_file(file, MAX_WEIGHT_BYTES)
    try:
        with safe_open(file, framework="pt") as tensors:
            return {today(name): tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{file}: not a readable safetensors file ({quote_error(error)}); download or save it again"
        ) from error


def today(name: str) -> str:
    """Convert TensorFlow's names of a norm's weights (gamma, beta), which old releases and transformers 5.0 write."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def check_weights(
    found: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], where: str, config: ModelConfig
) -> None:
    """Check the weights ``found`` against the expected ``shapes``; ``where`` names the file in errors.

    Weights of other tasks and of older releases (``surplus`` of the family) are ignored.

    Raises:
        BundleError: weights are missing or surplus, or a weight has a wrong shape or type, NaN or infinity.
    """
    backbone = config.backbone
    resave = f"save it again from {backbone.class_name(config.task.architecture)} with transformers' save_pretrained"
    missing = sorted(shapes.keys() - found.keys())
    buffers = {backbone.embedding(part) for part in BUFFERS}
    surplus = sorted(n for n in found.keys() - shapes.keys() - buffers if not n.startswith(backbone.surplus))
    if missing:
        remedy = TRAIN if _is_only_head_missing(missing, found, config) else resave
        raise BundleError(f"{where}: missing {_list_names(missing)}; {remedy}")
    if surplus:
        raise BundleError(
            f"{where}: {_list_names(surplus)} belong to no {backbone.title} classifier of this config.json; {resave}"
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
    """List the safetensors files of a folder, sorted by name.

    Raises:
        BundleError: there are none, or the index of weights cannot be read or names a file outside the folder.
    """
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            names = sorted({Path(name) for name in read_json(index, what="an index of weights")["weight_map"].values()})
        except (KeyError, AttributeError, TypeError) as error:
            raise BundleError(f"{index}: not readable as an index of weights; download or save it again") from error
        if not names:
            raise BundleError(f"{index}: names no file; download or save it again")
        if any(name.name != str(name) or str(name) == ".." for name in names):
            raise BundleError(f"{index}: names a file outside its folder; download or save it again")
        return [folder / name for name in names]
    single = folder / "model.safetensors"
    if single.exists():
        return [single]
    pickled = " (pytorch_model.bin is a pickle, which can run code and is never loaded)"
    hint = pickled if (folder / "pytorch_model.bin").exists() else ""
    raise BundleError(
        f"{folder}: no model.safetensors{hint}; save the model once with transformers: model.save_pretrained(folder)"
    )


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight of a classifier with this configuration."""
    e, h, classes, family = config.embedding_size, config.hidden_size, len(config.labels), config.backbone
    shapes: dict[str, tuple[int, ...]] = {
        f"{family.embedding('word_embeddings')}.weight": (config.vocab_size, e),
        f"{family.embedding('position_embeddings')}.weight": (config.max_position_embeddings, e),
        **_weight_and_bias(family.embedding("LayerNorm"), e),
    }
    if config.task.per_token:
        shapes |= _weight_and_bias(TOKEN_HEAD, classes, h)
    else:
        shapes |= _weight_and_bias(family.head.pooler, h, h) | _weight_and_bias(family.head.classifier, classes, h)
    if family.segments:
        shapes[f"{family.embedding(family.segments)}.weight"] = (config.type_vocab_size, e)
    if family.projection:
        shapes |= _weight_and_bias(family.projection, h, e)
    for layer in layer_names(config):
        for part, shape in layer_shapes(config).items():
            shapes |= _weight_and_bias(f"{layer}.{part}", *shape)
    for head in range(config.exit_heads - 1):
        shapes |= _weight_and_bias(f"earlier_heads.{head}.pooler", h, h)
        shapes |= _weight_and_bias(f"earlier_heads.{head}.classifier", classes, h)
    return shapes


def layer_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the name and weight shape of every part of a layer; a bias has the first dimension of the weight."""
    width, inner, parts = config.hidden_size, config.intermediate_size, config.backbone.parts
    shapes: dict[str, tuple[int, ...]] = {parts.widen: (inner, width), parts.narrow: (width, inner)}
    shapes |= dict.fromkeys((parts.query, parts.key, parts.value, parts.dense), (width, width))
    return shapes | dict.fromkeys((parts.attention_norm, parts.norm), (width,))


def layer_names(config: ModelConfig) -> list[str]:
    """Return the name prefixes of all layers, group by group."""
    return [name for group in range(config.num_hidden_groups) for name in group_layers(config, group)]


def group_layers(config: ModelConfig, group: int) -> list[str]:
    """Return the name prefixes of the layers of a group, in the order in which they are applied."""
    return [config.backbone.layer(group, inner) for inner in range(config.inner_group_num)]


def _weight_and_bias(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _list_names(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _is_only_head_missing(missing: list[str], found: Container[str], config: ModelConfig) -> bool:
    head_prefixes = config.backbone.head_prefixes(per_token=config.task.per_token)
    # The weight names of an encoder that was saved without a classifier have no prefix.
    return all(name.startswith(head_prefixes) for name in missing) or "embeddings.word_embeddings.weight" in found


TRAIN = "this is an encoder without a trained classifier: train one with elbert train --model FOLDER"
