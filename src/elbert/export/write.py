"""Writing a classifier into one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from elbert._extras import require
from elbert._files import replaced
from elbert.bundle import Bundle
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.exits import Policy, fitting
from elbert.export.dials import Dials
from elbert.export.forms import Dtype
from elbert.export.model import build
from elbert.model.weights import load_weights

if TYPE_CHECKING:
    from onnx import ModelProto


def export(
    model: Classifier | str | Path | None,
    policy: str | Policy | None,
    output: str | Path,
    *,
    dtype: Dtype = "float32",
    dials: Dials = "fixed",
    extra_outputs: bool = False,
) -> Path:
    """Write ``output``, whole or not at all: ids and mask in, logits out, exits inside.

    ``model`` is a classifier, a folder or hub id, or None for the bundled model; ``policy`` a spec, an operating
    point's name, or None for the model's own. Inputs ``input_ids``, ``attention_mask``, ``token_type_ids`` ``[batch,
    tokens]`` int64; output ``logits [batch, classes]`` float32, each row's at the depth where it left; with
    ``extra_outputs`` also ``depth [batch]`` (from 1) and ``reason [batch]`` int64, an index into the names that the
    file's metadata hold under ``reasons``. With ``dials`` the policy's numbers are inputs too (scalars).

    >>> export(None, "window(entropy=0.25, size=6)", "model.onnx", dtype="int8")

    Raises:
        BundleError: the model cannot be used.
        PolicyError: the policy cannot be read, or names a depth that the model does not have.
        InputError: the model's depths do not share one layer and one head, an option is not acceptable, or
            ``output`` cannot be written.
        MissingExtra: the package onnx is not installed.
    """
    proto = exported(model, policy, dtype=dtype, dials=dials, extra_outputs=extra_outputs)
    path = Path(output)
    with replaced(path, "wb") as out:
        out.write(proto.SerializeToString())
    return path


def exported(
    model: Classifier | str | Path | None,
    policy: str | Policy | None,
    *,
    dtype: Dtype = "float32",
    dials: Dials = "fixed",
    extra_outputs: bool = False,
) -> ModelProto:
    """The same, checked and not written."""
    checker = require("onnx.checker", "onnx")
    for name, given, known in (("dtype", dtype, Dtype), ("dials", dials, Dials)):
        if given not in get_args(known):
            raise InputError(f"{name} is {given!r}, expected one of {', '.join(get_args(known))}")
    bundle = model.bundle if isinstance(model, Classifier) else Bundle.open(model)
    own = model.policy if isinstance(model, Classifier) else bundle.policy()
    chosen = own if policy is None else bundle.policy(policy)
    fitting(chosen, bundle.config.depths, regression=bundle.config.problem == "regression")
    weights = load_weights(bundle.folder, bundle.config)
    proto = build(weights, bundle.config, chosen, dtype=dtype, dials=dials, extra_outputs=extra_outputs)
    checker.check_model(proto, full_check=True)
    return proto
