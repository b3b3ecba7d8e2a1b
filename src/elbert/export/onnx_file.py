"""Write a classifier as one ONNX file: inputs, embedding, loop, outputs and metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from torch import Tensor

from elbert import __version__
from elbert._atomic import check_not_input, open_atomic
from elbert._display import indefinite
from elbert._optional import require
from elbert.bundle import Bundle
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.exits import LAST, Policy, check_policy
from elbert.export.dials import Dials, bind_dials
from elbert.export.graph import BOOL, FLOAT, INT64, Graph
from elbert.export.layers import Mask, Model
from elbert.export.loop import early_exit_loop, fixed_depth_loop
from elbert.export.quantization import FORMS, Dtype
from elbert.inference.documents import CUT
from elbert.model import ModelConfig
from elbert.model.weights import load_weights

if TYPE_CHECKING:
    from onnx import ModelProto


OPSET = 20  # the first with Gelu; onnxruntime has it since 1.17
FORMAT = 9  # the version of the file format (IR) that goes with it
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
WORD_STARTS = "word_starts"  # an input of token classifiers


def build_model(
    weights: Mapping[str, Tensor],
    config: ModelConfig,
    policy: Policy,
    *,
    dtype: Dtype = "float32",
    dials: Dials = "fixed",
    extra_outputs: bool = False,
    facts: Mapping[str, str] | None = None,
) -> ModelProto:
    """Build the ONNX model from float32 weights, by their names on disk; ``facts`` are further metadata.

    Raises:
        InputError: the model has more than one layer or head to share, or an unusual activation.
        PolicyError: a rule of the policy cannot be exported.
    """
    check_shared(config)
    g = Graph()
    ids, attention, types = (g.input(name, INT64, ["batch", "tokens"]) for name in INPUTS)
    model, mask = Model(g, weights, config, FORMS[dtype]()), Mask.of(g, attention)
    rules = bind_dials(g, policy, dials)
    run = early_exit_loop if policy.signals else fixed_depth_loop
    per_token = config.task.per_token
    words = g.Cast(g.input(WORD_STARTS, INT64, ["batch", "tokens"]), to=BOOL) if per_token and policy.signals else None
    exited = run(g, model.embed(ids, types), mask, model.step(), model.read(), rules, config, words)
    answers = ["batch", "tokens"] if per_token else ["batch"]
    g.output("logits", exited.logits, FLOAT, [*answers, len(config.labels)])
    if extra_outputs:
        g.output("depth", exited.depth, INT64, ["batch"])
        g.output("reason", exited.reason, INT64, ["batch"])
    onnx = require("onnx", "onnx")
    proto: ModelProto = onnx.helper.make_model(
        g.proto("elbert"),
        producer_name="elbert",
        producer_version=__version__,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=FORMAT,
    )
    onnx.helper.set_model_props(proto, build_metadata(config, policy, dtype) | dict(facts or {}))
    return proto


def check_shared(config: ModelConfig) -> None:
    """Check that one loop can run the model.

    Raises:
        InputError: its depths have layers or heads of their own.
    """
    if not config.backbone.shared:
        raise InputError(
            f"export takes ALBERT models, whose depths share one layer; this is {indefinite(config.backbone.title)}"
        )
    if not config.is_all_shared:
        raise InputError(
            "export takes models whose depths share one layer group and one exit head; this one has "
            f"num_hidden_groups {config.num_hidden_groups} and exit_heads {config.exit_heads}; use elbert predict"
        )


def build_metadata(config: ModelConfig, policy: Policy, dtype: Dtype) -> dict[str, str]:
    """The file's metadata as strings; lists are JSON."""
    return {
        "labels": json.dumps(config.labels, ensure_ascii=False),
        "depths": str(config.depths),
        "policy": str(policy),
        "reasons": json.dumps([*policy.reasons, LAST]),
        "problem_type": config.problem,
        "dtype": dtype,
        "max_length": str(config.max_position_embeddings),
        "elbert_version": __version__,
    }


def describe_point(bundle: Bundle, policy: Policy, dtype: Dtype) -> dict[str, str]:
    """The metadata of the operating point with this policy: its name, and as ``note`` its conditions that do not hold.

    A file reads no windows: what is longer than the model is cut before it.
    """
    name = next((name for name, point in bundle.points.items() if point.policy is policy), None)
    if name is None:
        return {}
    note = None
    if bundle.points[name].conditions is not None:
        note = bundle.describe_mismatch(name, dtype, bundle.load_tokeniser().max_length, CUT)
    return {"operating_point": name} | ({} if note is None else {"note": note})


def export(
    model: Classifier | str | Path | None,
    policy: str | Policy | None,
    output: str | Path,
    *,
    dtype: Dtype = "float32",
    dials: Dials = "fixed",
    extra_outputs: bool = False,
) -> Path:
    """Write a classifier with its exits as one ONNX file ``output``, atomically.

    ``model`` is a classifier, a folder or hub id, or None for the bundled model; ``policy`` a spec, an operating
    point's name, or None for the model's own. Inputs ``input_ids``, ``attention_mask``, ``token_type_ids`` ``[batch,
    tokens]`` int64; output ``logits [batch, classes]`` float32, each row's at its exit depth; with
    ``extra_outputs`` also ``depth [batch]`` (from 1) and ``reason [batch]`` int64, an index into the names that the
    file's metadata hold under ``reasons``. An operating point whose conditions the file does not meet, such as one for
    long texts in windows, has a ``note`` there. A token classifier has ``logits [batch, tokens, classes]``, and if its
    policy reads words the input ``word_starts [batch, tokens]`` int64, 1 at the first token of each word. With
    ``dials`` the policy's numbers are inputs too (scalars).

    >>> export(None, "window(entropy=0.25, size=6)", "model.onnx", dtype="int8")

    Raises:
        BundleError: the model cannot be used.
        PolicyError: the policy cannot be read, or names a depth that the model does not have.
        InputError: the model's depths do not share one layer and one head, an option is unknown, or ``output`` cannot
            be written, or is a file of the model.
        MissingExtra: the package onnx is not installed.
    """
    path = Path(output)
    bundle = model.bundle if isinstance(model, Classifier) else Bundle.open(model)
    check_not_input(path, bundle.folder.iterdir())
    proto = build_checked_model(model, policy, dtype=dtype, dials=dials, extra_outputs=extra_outputs)
    with open_atomic(output, "wb") as out:
        out.write(proto.SerializeToString())
    return path


def build_checked_model(
    model: Classifier | str | Path | None,
    policy: str | Policy | None,
    *,
    dtype: Dtype = "float32",
    dials: Dials = "fixed",
    extra_outputs: bool = False,
) -> ModelProto:
    """The model that :func:`export` writes, built and checked."""
    checker = require("onnx.checker", "onnx")
    for name, value, known in (("dtype", dtype, Dtype), ("dials", dials, Dials)):
        if value not in get_args(known):
            raise InputError(f"{name} is {value!r}, expected one of {', '.join(get_args(known))}")
    bundle = model.bundle if isinstance(model, Classifier) else Bundle.open(model)
    own = model.policy if isinstance(model, Classifier) else bundle.resolve_policy()
    chosen = own if policy is None else bundle.resolve_policy(policy)
    task = bundle.config.task
    check_policy(chosen, bundle.config.depths, task.content, per_token=task.per_token)
    weights = load_weights(bundle.folder, bundle.config)
    facts = describe_point(bundle, chosen, dtype)
    proto = build_model(
        weights, bundle.config, chosen, dtype=dtype, dials=dials, extra_outputs=extra_outputs, facts=facts
    )
    checker.check_model(proto, full_check=True)
    return proto
