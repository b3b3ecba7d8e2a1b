"""Outputs: the probabilities of every depth for labelled texts, computed once and saved as one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert._atomic import open_atomic
from elbert._display import plural
from elbert._progress import show_progress
from elbert.classifier import Classifier
from elbert.engine import TokenList, name_text
from elbert.errors import DataError, ElbertError, InputError
from elbert.evaluation.tag_outputs import TagCollector
from elbert.evaluation.targets import Targets, parse_target, resolve_targets
from elbert.exits import FULL, Replay
from elbert.exits.signals import SIGNALS
from elbert.inference import Exits
from elbert.tasks import TASKS, Task
from elbert.tasks.spans import NO_TAG
from elbert.tokenization.tokens import Text, Tokens, list_texts

__all__ = ["Outputs", "collect", "is_consistent", "load_outputs", "parse_target", "split_indices"]

Floats = NDArray[np.float32]
SIGNAL = "signal_"  # before the names of signals in files


@dataclass(frozen=True)
class Outputs:
    """Saved outputs of all depths.

    probabilities: ``[n, depths, classes]`` float32 (values, for a regression)
    labels:        ``[n]`` class indices, ``[n, classes]`` 0/1 for multi-label, ``[n]`` values for regression
    tokens:        ``[n]``, the length of each text
    scale:         the unit of signals over values, :attr:`ModelConfig.scale`
    signals:       ``[n, depths]`` of each signal, for token classification, where ``probabilities`` are the predicted
                   tags ``[n, depths, words]`` and labels are ``[n, words]``, both with -1 after a text's last word;
                   None for other tasks
    """

    probabilities: NDArray[Any]
    labels: NDArray[Any]
    tokens: NDArray[np.int64]
    label_names: tuple[str, ...]
    problem: str
    scale: float = 1.0
    signals: Mapping[str, Floats] | None = None

    @property
    def depths(self) -> int:
        """The number of depths of the model."""
        return int(self.probabilities.shape[1])

    @property
    def task(self) -> Task:
        """What the outputs mean."""
        return TASKS[self.problem].bind(self.label_names)

    @property
    def multi_label(self) -> bool:
        """Whether each label is decided on its own, with a sigmoid."""
        return self.task.multi_label

    def replay(self) -> Replay:
        """Prepare the outputs for policies."""
        task = self.task
        if self.signals is not None:
            return Replay.of_signals(self.signals)
        return Replay(self.probabilities, multi_label=task.multi_label, content=task.content, scale=self.scale)

    def find_right(self) -> NDArray[np.bool_]:
        """``[n, depths]``: whether the answer at each depth is right; tasks with :attr:`Task.is_exact` have it."""
        return self.task.find_right(self.probabilities, self.labels)

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.probabilities)

    def take(self, index: NDArray[np.int64]) -> Outputs:
        """The outputs of the texts at positions ``index``."""
        signals = None if self.signals is None else {name: found[index] for name, found in self.signals.items()}
        return replace(
            self,
            probabilities=self.probabilities[index],
            labels=self.labels[index],
            tokens=self.tokens[index],
            signals=signals,
        )

    def split(self, share: float) -> tuple[Outputs, Outputs]:
        """A random share of the texts, and the rest; the same split every time (:func:`split_indices`)."""
        first, rest = split_indices(len(self), share)
        return self.take(first), self.take(rest)

    def unlabelled(self) -> Outputs:
        """A copy whose labels are the last depth's predictions: "correct" then means "agrees with full depth"."""
        return replace(self, labels=self.task.decode(self.probabilities[:, -1]))

    def save(self, path: str | Path) -> None:
        """Write one ``.npz`` file, atomically."""
        about = json.dumps({"label_names": self.label_names, "problem": self.problem, "scale": self.scale})
        signals: dict[str, Any] = {SIGNAL + name: found for name, found in (self.signals or {}).items()}
        with open_atomic(path, "wb") as out:
            np.savez_compressed(
                out,
                probabilities=self.probabilities,
                labels=self.labels,
                tokens=self.tokens,
                about=np.array(about),
                **signals,
            )


FEWEST = 20  # fewest texts of a part that chooses or measures a policy: results on fewer are noise


def split_indices(n: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split ``range(n)`` into a random share and the rest, both sorted. The seed is fixed.

    Raises:
        InputError: the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise InputError(f"expected a share of the texts between 0 and 1, such as 0.5, got {share:g}")
    order = np.random.default_rng(0).permutation(n)
    cut = round(n * share)
    return np.sort(order[:cut]), np.sort(order[cut:])


def load_outputs(path: str | Path) -> Outputs:
    """Read saved outputs.

    Raises:
        DataError: the file is missing, is no outputs file, or its arrays do not match each other.
    """
    try:
        # Opened here, because numpy does not close the file when the zip is broken.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as parts:
            about = json.loads(str(parts["about"]))
            outputs = Outputs(
                read_outputs(parts["probabilities"], about["problem"]),
                parts["labels"],
                parts["tokens"],
                tuple(about["label_names"]),
                about["problem"],
                float(about.get("scale", 1.0)),
                {name.removeprefix(SIGNAL): parts[name] for name in parts.files if name.startswith(SIGNAL)} or None,
            )
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; elbert evaluate --outputs FILE writes one") from error
    except Exception as error:  # a damaged zip or array can fail in a dozen ways, all of which mean the same
        raise DataError(f"{path}: not a file of saved outputs; elbert evaluate --outputs FILE writes one") from error
    if not is_consistent(outputs):
        raise DataError(f"{path}: its parts do not fit each other; write it again with elbert evaluate --outputs")
    return outputs


def read_outputs(saved: NDArray[Any], problem: str) -> NDArray[Any]:
    """Return probabilities and values as float32, tags as integers."""
    is_tags = problem in TASKS and TASKS[problem].per_token
    return np.asarray(saved, np.int64 if is_tags else np.float32)


def is_consistent(outputs: Outputs) -> bool:
    """Whether the shapes, label names and labels match each other."""
    shape, labels = outputs.probabilities.shape, outputs.labels
    if len(shape) != 3 or shape[1] < 1 or outputs.tokens.shape != shape[:1]:
        return False
    if outputs.problem in list(TASKS) and outputs.task.per_token:
        return has_tags(outputs)
    if len(outputs.label_names) != shape[2]:
        return False
    if outputs.problem not in list(TASKS) or labels.dtype.kind not in "iuf" or not 0 < outputs.scale < np.inf:
        return False
    return outputs.task.are_labels(labels, shape[0], shape[2])


def has_tags(outputs: Outputs) -> bool:
    """Whether the tags, labels and signals of token classification match each other."""
    tags, labels, classes = outputs.probabilities, outputs.labels, len(outputs.label_names)
    signals = outputs.signals or {}
    is_tag = tags.dtype.kind in "iu" and bool(((tags >= NO_TAG) & (tags < classes)).all())
    has_signals = {name for name, signal in SIGNALS.items() if signal.needs == "probabilities"} <= signals.keys()
    has_shapes = all(found.shape == tags.shape[:2] for found in signals.values())
    has_labels = labels.dtype.kind in "iu" and labels.shape == (len(tags), tags.shape[2])
    return is_tag and has_signals and has_shapes and has_labels and outputs.task.are_labels(labels, len(tags), classes)


def run_to_full_depth(
    classifier: Classifier,
    tokens: Sequence[Tokens],
    add: Callable[[Exits], None],
    fail: Callable[[int, Exception], None],
) -> None:
    """Run rows once at full depth: ``add`` receives those that exit, with their traces, ``fail`` a row's error."""
    with show_progress("all depths", len(tokens)) as advance:
        for step in classifier.early_exit_loop(TokenList(tokens), FULL, keep_trace=True):
            for failure in step.failures:
                fail(failure.identity, failure.error)
            for exits in step.exits:
                add(exits)
            advance(len(step.identities))


def collect(
    classifier: Classifier,
    texts: Iterable[Text],
    labels: Targets | Sequence[object] | None,
    *,
    on_failure: Callable[[int, Exception], None] | None = None,
) -> Outputs:
    """Run texts once at full depth and keep the probabilities of every depth.

    ``labels`` are read as in a data file. Without them, the last depth's predictions serve as labels
    (:meth:`Outputs.unlabelled`). ``on_failure`` receives position and error of a text that the model cannot take; the
    outputs are then those of the other texts.

    Raises:
        InputError: the texts are not those of :meth:`Classifier.predict`, a label is not valid, or there are not as
            many labels as texts.
    """
    texts = list_texts(texts)
    config = classifier.bundle.config
    targets = None if labels is None else resolve_targets(labels, config.labels, config.task)
    if targets is not None and len(targets) != len(texts):
        raise InputError(f"{plural(len(targets), 'label')} for {plural(len(texts), 'text')}; expected one for each")
    probabilities = np.zeros((len(texts), config.depths, len(config.labels)), np.float32)
    has_outputs = np.ones(len(texts), bool)

    def fail(number: int, error: Exception) -> None:
        if on_failure is None:
            raise name_text(error, number)
        on_failure(number, error)
        has_outputs[number] = False

    tokens, positions = list[Tokens](), list[int]()
    for number, row in enumerate(classifier.encode_each(texts)):
        if isinstance(row, ElbertError):
            fail(number, row)
        else:
            tokens.append(row)
            positions.append(number)
    identities = np.array(positions, np.int64)
    tags = TagCollector(config, texts, dict(zip(positions, tokens, strict=True))) if config.task.per_token else None

    def add(exits: Exits) -> None:
        if tags is not None:
            tags.add(identities[exits.identity], exits)
        elif exits.trace is not None:
            probabilities[identities[exits.identity]] = exits.trace

    run_to_full_depth(classifier, tokens, add, lambda row, error: fail(positions[row], error))
    lengths = np.zeros(len(texts), np.int64)
    lengths[identities] = [len(row) for row in tokens]
    values = np.zeros(len(texts), np.int64) if targets is None else targets.values
    outputs = Outputs(probabilities, values, lengths, config.labels, config.problem, config.scale)
    if tags is not None:
        known = tags.tags[:, -1] if targets is None else tags.pad_labels(values)
        outputs = replace(outputs, probabilities=tags.tags, labels=known, signals=tags.signals)
    outputs = outputs if has_outputs.all() else outputs.take(np.flatnonzero(has_outputs))
    return outputs.unlabelled() if targets is None else outputs
