"""The whole file: usual inputs, embedding, loop, outputs, and what it says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from elbert import __version__
from elbert._extras import require
from elbert.errors import InputError
from elbert.exits import LAST, Policy
from elbert.export.dials import Dials, dialled
from elbert.export.forms import FORMS, Dtype
from elbert.export.graph import FLOAT, INT64, Graph
from elbert.export.layers import Mask, Model
from elbert.export.loop import leaving, straight
from elbert.model import ModelConfig

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20  # the first with Gelu; onnxruntime has it since 1.17
FORMAT = 9  # the version of the file format (IR) that goes with it
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def build(
    weights: Mapping[str, Tensor],
    config: ModelConfig,
    policy: Policy,
    *,
    dtype: Dtype = "float32",
    dials: Dials = "fixed",
    extra_outputs: bool = False,
) -> ModelProto:
    """The ONNX model of float32 weights by their names on disk.

    Raises:
        InputError: the model has more than one layer or head to share, or an unusual activation.
        PolicyError: the policy has a rule that has no nodes.
    """
    check_shared(config)
    g = Graph()
    ids, attention, types = (g.input(name, INT64, ["batch", "tokens"]) for name in INPUTS)
    model, mask = Model(g, weights, config, FORMS[dtype]()), Mask.of(g, attention)
    rules = dialled(g, policy, dials)
    run = leaving if policy.signals else straight
    left = run(g, model.embed(ids, types), mask, model.step(), model.read(), rules, config)
    g.output("logits", left.logits, FLOAT, ["batch", len(config.labels)])
    if extra_outputs:
        g.output("depth", left.depth, INT64, ["batch"])
        g.output("reason", left.reason, INT64, ["batch"])
    onnx = require("onnx", "onnx")
    proto: ModelProto = onnx.helper.make_model(
        g.proto("elbert"),
        producer_name="elbert",
        producer_version=__version__,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=FORMAT,
    )
    onnx.helper.set_model_props(proto, about(config, policy, dtype))
    return proto


def check_shared(config: ModelConfig) -> None:
    """Hold a model to what one loop can run.

    Raises:
        InputError: its depths have layers or heads of their own.
    """
    if not config.backbone.shared:
        raise InputError(f"export takes ALBERT models, whose depths share one layer; this is a {config.backbone.title}")
    if not config.all_shared:
        raise InputError(
            "export takes models whose depths share one layer group and one exit head; this one has "
            f"num_hidden_groups {config.num_hidden_groups} and exit_heads {config.exit_heads}; use elbert predict"
        )


def about(config: ModelConfig, policy: Policy, dtype: Dtype) -> dict[str, str]:
    """What the file says about itself, as texts; lists as JSON."""
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
