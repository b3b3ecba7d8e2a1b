"""Compare the precisions of an exported file on labelled texts: size, loading, speed, metrics, changed exits."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.evaluation import Outputs
from elbert.evaluation.targets import Targets, resolve_targets
from elbert.export.onnx_file import export
from elbert.export.quantization import Dtype
from elbert.export.session import Session
from elbert.tokenization import Tokens
from elbert.tokenization.tokens import Text, list_texts

BATCHES = (1, 32)
LOADS = 3


@dataclass(frozen=True)
class Precision:
    """One precision: bytes, seconds to load, texts per second by batch size, metrics, mean depth.

    ``answers_changed`` and ``exits_moved`` are fractions of the texts, against the classifier in float32.
    """

    dtype: Dtype
    size: int
    load_seconds: float
    texts_per_second: Mapping[int, float]
    metrics: Mapping[str, float]
    mean_depth: float
    answers_changed: float
    exits_moved: float


@dataclass(frozen=True)
class Reference:
    """The float32 classifier's outputs at the exits (``outputs`` has one depth), and the exit depths ``[n]``."""

    outputs: Outputs
    depth: NDArray[np.int64]

    @property
    def answers(self) -> NDArray[np.float32]:
        """The probabilities at the exits, ``[n, classes]``."""
        return self.outputs.probabilities[:, 0]


def compare_precisions(
    classifier: Classifier, texts: Sequence[Text], labels: Targets | Sequence[object], *, rounds: int = 3
) -> dict[str, Precision]:
    """Export every precision and compare each on the texts with the classifier, which must be in float32.

    Speed is the median of interleaved rounds over the texts in padded batches of 1 and 32, without tokenization.

    Raises:
        InputError: the model cannot be exported, or a label is not valid.
    """
    if classifier.bundle.config.task.per_token:
        title = classifier.bundle.config.task.title
        raise InputError(f"the report on precisions is of whole texts, and this model's task is {title}: --output")
    threads, tokens = classifier.threads, classifier.tokeniser.encode(list_texts(texts))
    targets = resolve_targets(labels, classifier.labels, classifier.bundle.config.task)
    reference = run_reference(classifier, tokens, targets)
    with tempfile.TemporaryDirectory() as folder:
        files = {
            dtype: export(classifier, None, Path(folder) / f"{dtype}.onnx", dtype=dtype, extra_outputs=True)
            for dtype in get_args(Dtype)
        }
        loads = {dtype: measure_load(file, threads) for dtype, file in files.items()}
        sessions = {dtype: Session(file, threads=threads) for dtype, file in files.items()}
        rates = measure_speeds(sessions, tokens, rounds)
        return {
            dtype: measure_precision(
                dtype, files[dtype], sessions[dtype], tokens, reference, loads[dtype], rates[dtype]
            )
            for dtype in files
        }


def run_reference(classifier: Classifier, tokens: Sequence[Tokens], targets: Targets) -> Reference:
    """The outputs of the classifier under its own policy."""
    config = classifier.bundle.config
    probabilities = np.zeros((len(tokens), 1, len(config.labels)), np.float32)
    depth = np.zeros(len(tokens), np.int64)
    for exits in classifier.exits(tokens, classifier.policy):
        probabilities[exits.identity, 0], depth[exits.identity] = exits.probabilities, exits.depth
    lengths = np.array([len(row.ids) for row in tokens], np.int64)
    return Reference(
        Outputs(probabilities, targets.values, lengths, config.labels, config.problem, config.scale), depth
    )


def measure_precision(
    dtype: Dtype,
    file: Path,
    session: Session,
    tokens: Sequence[Tokens],
    reference: Reference,
    load: float,
    rates: Mapping[int, float],
) -> Precision:
    """Run one precision over the texts and compare it with the reference."""
    found = session.answer(tokens)
    task = reference.outputs.task
    answers = task.activate(torch.from_numpy(found.logits)).numpy()
    depth: Any = found.depth
    changed = task.differ(answers, reference.answers, tolerance=1e-3)
    return Precision(
        dtype=dtype,
        size=file.stat().st_size,
        load_seconds=load,
        texts_per_second=rates,
        metrics=task.measure(answers, reference.outputs.labels),
        mean_depth=float(depth.mean()),
        answers_changed=float(changed.mean()),
        exits_moved=float((depth != reference.depth).mean()),
    )


def measure_load(file: Path, threads: int | None) -> float:
    """The median seconds to load a file into a session."""
    return statistics.median(time_call(lambda: Session(file, threads=threads)) for _ in range(LOADS))


def measure_speeds(
    sessions: Mapping[Dtype, Session], tokens: Sequence[Tokens], rounds: int
) -> dict[Dtype, dict[int, float]]:
    """Texts per second by precision and batch size; empty if ``rounds`` is 0."""
    rates: dict[Dtype, dict[int, float]] = {dtype: {} for dtype in sessions}
    for rows in BATCHES if rounds else ():
        taken: dict[Dtype, list[float]] = {dtype: [] for dtype in sessions}
        for number in range(rounds + 1):  # the first round warms up
            for dtype, session in sessions.items():
                seconds = time_call(partial(session.answer, tokens, rows))
                taken[dtype] += [seconds] if number else []
        for dtype in sessions:
            rates[dtype][rows] = len(tokens) / statistics.median(taken[dtype])
    return rates


def time_call(run: Callable[[], object]) -> float:
    """The seconds that ``run`` takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
