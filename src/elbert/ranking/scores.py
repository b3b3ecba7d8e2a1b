"""Scores of a cross-encoder: which models have them, the function that makes them, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import tanh
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elbert._display import plural
from elbert._model_files import read_json
from elbert.bundle import Bundle
from elbert.bundle.folder import read_config_file
from elbert.errors import BundleError, InputError
from elbert.exits import Policy
from elbert.model import ModelConfig
from elbert.tasks import TASKS

ScoreFunction = Literal["sigmoid", "none"]
ACTIVATIONS: dict[str, ScoreFunction] = {"Sigmoid": "sigmoid", "Identity": "none"}  # torch's classes
CROSS_ENCODER_FILE = "config_sentence_transformers.json"  # of sentence-transformers, from version 5 on


def check_ranker(config: ModelConfig) -> None:
    """Check that a model has one score for a pair of texts.

    Raises:
        InputError: it has several outputs, or one for each token, or reads no pairs.
    """
    if config.task.per_token or len(config.labels) != 1:
        outputs = "outputs for each token" if config.task.per_token else f"{plural(len(config.labels), 'output')}"
        raise InputError(f"this model has {outputs}, and ranking needs one: use a cross-encoder or a regression")


def read_score_function(bundle: Bundle) -> ScoreFunction:
    """Return the function from an output to a score, as sentence-transformers' CrossEncoder has it.

    It is named in the folder, in one of three places, or is the sigmoid. A model that is declared as a regression has
    values as scores.

    Raises:
        BundleError: it is another function, or the folder puts a prompt before the texts.
    """
    values = read_config_file(bundle.folder)
    settings = read_settings(bundle.folder)
    nested = values.get("sentence_transformers")
    found = next(
        (
            name
            for name in (
                settings.get("activation_fn"),
                nested.get("activation_fn") if isinstance(nested, Mapping) else None,
                values.get("sbert_ce_default_activation_function"),  # before version 4
            )
            if name is not None
        ),
        None,
    )
    if found is None:
        has_values = bundle.config.task.activation == "none" and values.get("problem_type") in list(TASKS)
        return "none" if has_values else "sigmoid"
    name = str(found)
    if not name.startswith("torch.nn.") or (function := ACTIVATIONS.get(name.rpartition(".")[2])) is None:
        raise BundleError(
            f"{bundle.folder}: activation_fn is {name!r:.80}, expected torch's {' or '.join(ACTIVATIONS)}; "
            "rank with raw scores (raw_scores=True)"
        )
    return function


def read_settings(folder: Path) -> Mapping[str, Any]:
    """Return what sentence-transformers wrote beside ``config.json``; empty if there is nothing.

    Raises:
        BundleError: the file cannot be read, or has a prompt for all texts.
    """
    file = folder / CROSS_ENCODER_FILE
    if not file.is_file():
        return {}
    settings: Mapping[str, Any] = read_json(file, what="settings of a cross-encoder", remedy="restore it")
    default, prompts = settings.get("default_prompt_name"), settings.get("prompts")
    if isinstance(prompts, Mapping) and isinstance(default, str) and prompts.get(default):
        raise BundleError(f"{file}: a prompt before all texts ({default!r:.40}) is not supported")
    return settings


def to_score(output: float, function: ScoreFunction) -> float:
    """Return the score of an output of the model."""
    return output if function == "none" else 0.5 * (1 + tanh(output / 2))


def order_scores(
    outputs: Sequence[float], reasons: Sequence[str], policy: Policy
) -> tuple[list[int], NDArray[np.float64]]:
    """Return the texts from the highest output to the lowest, and the output of each that counts.

    ``reasons`` are those of the exits. A text that a rule over the list exited is not among the highest of the others:
    its output is that of its depth, but no more than theirs, so it comes after them. Equal outputs keep the order of
    the texts.
    """
    values = np.array(outputs, np.float64)
    out = np.zeros(len(values), bool)
    for rule in policy.list_rules:
        out = np.array([reason == rule.reason for reason in reasons])
        reached = np.sort(values[~out])[::-1][: rule.top].min(initial=np.inf)
        values = np.where(out, np.minimum(values, reached), values)
    return np.lexsort((np.arange(len(values)), out, -values)).tolist(), values
