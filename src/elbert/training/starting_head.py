"""How a new exit head starts: fitted to what the encoder gives before training, instead of at random.

One head reads all depths, and a pooler from another task, or a random one, keeps little of what a depth knows: the
states of [CLS] have a large common part and small differences. Training at a low rate does not correct that on few rows
(Banking77, 500 rows: 17 % from the pooler of the bundled model, whose frozen states give a linear map 38 %). So the
pooler starts as the map that standardises the states (Krähenbühl et al., ICLR 2016, data-dependent initialisation), and
the classifier as the linear map that fits the labels best on all depths (Kumar et al., ICLR 2022: linear probing before
fine-tuning). How much the map is held back is chosen on a part of the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from elbert.bundle import Bundle
from elbert.model.config import ModelConfig
from elbert.model.families import Backbone
from elbert.tasks import Task
from elbert.training.features import Collator, Features
from elbert.training.options import ExitOptions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS, STATES = 2_000, 40_000_000  # of the training data at most; fewer where their states would be more numbers
SCALE = 0.5  # of a standardised state: tanh is nearly linear there
OPEN = 1.0  # added where the activation is ReLU, which then cuts what is two standard deviations below the mean
HELD_OUT = 0.2  # share of the rows that choose how much the map is held back
DECAYS = (1e-1, 1e-2, 1e-3, 1e-4)  # factors of the squared weights in the loss; a map of larger weights trains worse
ITERATIONS = 60
RANDOM = 0.02  # standard deviation of the random part of the weights, the usual one of a new head
BATCH = 32  # rows

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


def start_heads(
    network: PreTrainedModel,
    is_new: bool,
    bundle: Bundle,
    labels: Sequence[str],
    train: Sequence[Features],
    collator: Collator,
    task: Task,
    options: ExitOptions,
) -> Iterator[str]:
    """Set the weights of new exit heads of a network, on its device, and yield lines that say how they start.

    ``bundle`` is what the network was loaded from, ``labels`` are its present ones. Heads are also new where they had
    as many labels, but others. A head that is not fitted is random, except that its outputs start at the mean label
    where labels are values.
    """
    if is_new:
        yield f"the exit head is new, for {len(labels)} labels; the encoder is that of {bundle.folder.name}"
    if not is_new and tuple(labels) == bundle.config.labels:
        return
    if options.head_start == "fitted" and not task.per_token:
        rows = draw_rows(train, bundle.config)
        yield f"it starts as a linear fit of {len(rows):,} rows' labels on the encoder's states (--head-start)"
        fit_heads(network, bundle.config, rows, collator, task)
    elif is_new and task.needs_standard_deviation:
        start_at_mean(network, train)


def start_at_mean(network: nn.Module, train: Sequence[Features]) -> None:
    """Set the bias of new exit heads to the mean label, so that the first outputs are near the labels.

    From 0 the distance of all labels is the first and largest gradient, at every depth in the same direction; it
    saturates the pooler, and a shared head learns nothing but the mean (STS-B: Spearman 0.2 against 0.9).
    """
    mean = float(np.mean([row["labels"] for row in train]))
    for module in network.modules():
        if isinstance(module, nn.Linear) and module.out_features == 1:
            nn.init.constant_(module.bias, mean)


def draw_rows(train: Sequence[Features], config: ModelConfig) -> list[Features]:
    """Return a random sample of the training data, by length, whose states fit into memory."""
    most = min(ROWS, max(1, STATES // (config.depths * config.hidden_size)))
    order = draw_order(len(train))[:most].tolist()
    return sorted((train[i] for i in order), key=lambda row: len(row["input_ids"]))


def fit_heads(network: nn.Module, config: ModelConfig, rows: list[Features], collator: Collator, task: Task) -> None:
    """Fit poolers and classifiers to rows, which takes a pass of the model over them."""
    heads, activation = find_heads(network, config.backbone), config.backbone.head.activation
    batches = (collator(rows[first : first + BATCH]) for first in range(0, len(rows), BATCH))
    states, labels = read_states(network, [pooler for pooler, _ in heads], batches)
    for (pooler, classifier), inputs in zip(heads, states, strict=True):
        with torch.no_grad():
            standardise(pooler, inputs, OPEN if activation == "relu" else 0.0)
            pooled = ACTIVATIONS[activation](pooler(inputs))
        fit_classifier(classifier, pooled, labels, task)


def find_heads(network: nn.Module, backbone: Backbone) -> list[tuple[nn.Linear, nn.Linear]]:
    """Return pooler and classifier of each exit head, from the shallowest block of depths to the deepest."""
    parts = [(head.pooler, head.classifier) for head in getattr(network, "earlier_heads", ())]
    parts.append((network.get_submodule(backbone.head.pooler), network.get_submodule(backbone.head.classifier)))
    return parts


def read_states(
    network: nn.Module, poolers: Sequence[nn.Module], batches: Iterable[Mapping[str, Tensor]]
) -> tuple[list[Tensor], Tensor]:
    """Return what each pooler reads, ``[depths, rows, width]``, and the labels."""
    device = next(network.parameters()).device
    # By pooler, the last call: transformers also calls it for the last depth, before all depths are read.
    latest: dict[nn.Module, Tensor] = {}
    hooks = [
        pooler.register_forward_pre_hook(lambda module, inputs: latest.update({module: inputs[0].float()}))
        for pooler in poolers
    ]
    labels, found = [], [list[Tensor]() for _ in poolers]
    try:
        network.eval()  # the Trainer sets the mode of training itself
        with torch.no_grad():
            for batch in batches:
                inputs = {name: value.to(device) for name, value in batch.items()}
                network(**inputs)
                labels.append(inputs["labels"])
                for pooler, parts in zip(poolers, found, strict=True):
                    parts.append(latest[pooler].reshape(-1, len(labels[-1]), latest[pooler].shape[-1]))
    finally:
        for hook in hooks:
            hook.remove()
    return [torch.cat(parts, 1) for parts in found], torch.cat(labels)


def standardise(pooler: nn.Linear, states: Tensor, shift: float) -> None:
    """Make the pooler the map ``SCALE * (x - mean) / deviation + shift``; states are ``[depths, rows, width]``."""
    flat = states.flatten(0, 1)
    mean, deviation = flat.mean(0), flat.std(0, correction=0)
    scale = SCALE / deviation.clamp_min(1e-3 * float(deviation.max()) + 1e-12)  # a constant state stays one
    pooler.weight.copy_(torch.diag(scale))
    pooler.bias.copy_(shift - mean * scale)


def draw_order(rows: int) -> Tensor:
    """Return the numbers of rows in a random order, the same in every process."""
    return torch.randperm(rows, generator=torch.Generator("cpu").manual_seed(0), device="cpu", dtype=torch.int64)


def fit_classifier(classifier: nn.Linear, pooled: Tensor, labels: Tensor, task: Task) -> None:
    """Fit the classifier on all depths; ``pooled`` is ``[depths, rows, width]``."""
    order = draw_order(len(labels)).to(labels.device)
    held = max(1, int(HELD_OUT * len(labels)))
    some, classes = order[held:], classifier.out_features
    other = pooled[:, order[:held]], labels[order[:held]]
    decay = DECAYS[0]
    if len(some):
        losses = {
            each: float(mean_loss(*fit(pooled[:, some], labels[some], classes, task, each), *other, task))
            for each in DECAYS
        }
        decay = min(losses, key=losses.__getitem__)
    weight, bias = fit(pooled, labels, classes, task, decay)
    with torch.no_grad():
        # Labels that no linear map predicts leave a map near 0, through which hardly a gradient reaches the encoder.
        classifier.weight.normal_(std=RANDOM).add_(weight)
        classifier.bias.copy_(bias)


def fit(pooled: Tensor, labels: Tensor, classes: int, task: Task, decay: float) -> tuple[Tensor, Tensor]:
    """Return weight ``[classes, width]`` and bias ``[classes]`` of the linear map with the lowest loss."""
    weight = pooled.new_zeros(classes, pooled.shape[-1], requires_grad=True)
    bias = pooled.new_zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def step() -> float:
        optimizer.zero_grad()
        loss = mean_loss(weight, bias, pooled, labels, task) + decay * (weight**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's method has no type annotations
        return float(loss.detach())

    optimizer.step(step)  # type: ignore[no-untyped-call]  # as above
    return weight.detach(), bias.detach()


def mean_loss(weight: Tensor, bias: Tensor, pooled: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Return the task's loss of a linear map, its mean over depths."""
    return task.losses(nn.functional.linear(pooled, weight, bias), labels).mean()
