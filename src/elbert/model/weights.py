"""The safetensors of an ALBERT classifier, checked name by name and shape by shape."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from elbert.errors import BundleError
from elbert.model.config import ModelConfig

# Buffers that older releases of transformers saved; they hold no weight.
BUFFERS = frozenset({"albert.embeddings.position_ids", "albert.embeddings.token_type_ids"})
# Heads of the pretraining tasks; a classifier made from a pretrained model by hand may still carry them.
PRETRAINING = ("predictions.", "sop_classifier.")


def load_weights(folder: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Every weight of the classifier in ``folder`` in float32, by its name in transformers.

    Raises:
        BundleError: no safetensors, an unreadable file, missing or surplus weights, a wrong shape, NaN.
    """
    files = weight_files(folder)
    found = {name: weight for file in files for name, weight in read_tensors(file).items()}
    check_weights(found, expected_shapes(config), str(files[0]))
    return {name: found[name].to(torch.float32) for name in expected_shapes(config)}


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


def check_weights(found: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Hold the weights found to those expected.

    Raises:
        BundleError: missing or surplus weights, a wrong shape or type, NaN.
    """
    missing = sorted(shapes.keys() - found.keys())
    surplus = sorted(n for n in found.keys() - shapes.keys() - BUFFERS if not n.startswith(PRETRAINING))
    if missing:
        raise BundleError(f"{where}: missing {_some(missing)}; {_remedy(missing, found)}")
    if surplus:
        raise BundleError(f"{where}: {_some(surplus)} belong to no ALBERT classifier of this config.json; {RESAVE}")
    for name, shape in shapes.items():
        weight = found[name]
        if tuple(weight.shape) != shape:
            raise BundleError(
                f"{where}: {name} has the shape {list(weight.shape)}, config.json asks for {list(shape)}; {RESAVE}"
            )
        if not weight.is_floating_point():
            raise BundleError(f"{where}: {name} holds {weight.dtype}, expected floating point; {RESAVE}")
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
    """Name and shape of every weight that an ALBERT classifier of this configuration has."""
    e, h, classes = config.embedding_size, config.hidden_size, len(config.labels)
    shapes: dict[str, tuple[int, ...]] = {
        "albert.embeddings.word_embeddings.weight": (config.vocab_size, e),
        "albert.embeddings.position_embeddings.weight": (config.max_position_embeddings, e),
        "albert.embeddings.token_type_embeddings.weight": (config.type_vocab_size, e),
        **_pair("albert.embeddings.LayerNorm", e),
        **_pair("albert.encoder.embedding_hidden_mapping_in", h, e),
        **_pair("albert.pooler", h, h),
        **_pair("classifier", classes, h),
    }
    for layer in layer_names(config):
        for part in ("query", "key", "value", "dense"):
            shapes |= _pair(f"{layer}.attention.{part}", h, h)
        shapes |= _pair(f"{layer}.attention.LayerNorm", h)
        shapes |= _pair(f"{layer}.ffn", config.intermediate_size, h)
        shapes |= _pair(f"{layer}.ffn_output", h, config.intermediate_size)
        shapes |= _pair(f"{layer}.full_layer_layer_norm", h)
    for head in range(config.exit_heads - 1):
        shapes |= _pair(f"earlier_heads.{head}.pooler", h, h)
        shapes |= _pair(f"earlier_heads.{head}.classifier", classes, h)
    return shapes


def layer_names(config: ModelConfig) -> list[str]:
    """The prefixes of all layers, group by group."""
    return [name for group in range(config.num_hidden_groups) for name in group_layers(config, group)]


def group_layers(config: ModelConfig, group: int) -> list[str]:
    """The prefixes of the layers of one group, in the order in which they are applied."""
    prefix = f"albert.encoder.albert_layer_groups.{group}.albert_layers"
    return [f"{prefix}.{inner}" for inner in range(config.inner_group_num)]


def _pair(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _remedy(missing: list[str], found: Container[str]) -> str:
    of_the_head = all(name.startswith(("classifier.", "albert.pooler.")) for name in missing)
    if of_the_head or "embeddings.word_embeddings.weight" in found:  # the name an AlbertModel saves it under
        return "this is an encoder without a trained classifier: train one with elbert train --model FOLDER"
    return RESAVE


RESAVE = "save it again from AlbertForSequenceClassification with transformers' save_pretrained"
