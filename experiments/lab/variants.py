"""Ways to train, by name: how the losses of the depths are weighed, then changes, joined by ``+``.

``equal``, ``linear``, ``learned`` (floor 0.1), ``learned-no-floor``; ``last-half``, ``last-third``,
``alternating``, ``centred``, ``own``;
``plain-K`` is a classifier of K depths trained alone, on its last depth only, ``plain-L`` one of the base's depths.
``+distilled``: half of each earlier depth's loss comes from the last depth's probabilities; ``+mean``: the head reads
the mean of the tokens. The objectives that ``elbert train`` does not have are defined here."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from elbert.errors import InputError
from elbert.training.objective import ExitObjective
from elbert.training.options import ExitOptions

SETTLED = 0.1  # normalised entropy under which a text would exit, the paper's default
REACH = 2.0  # depths over which a text's weight falls to a third around its exit
LEAST = 0.25  # of the mean weight: no depth stops learning


class LastOnly(ExitObjective):
    """The last depth's loss alone: plain ALBERT."""

    def weights(self) -> Tensor:
        """``[depths]``: nothing but the last."""
        return torch.cat([torch.zeros(self.depths - 1), torch.ones(1)])


class Alternating(ExitObjective):
    """The last depth alone in every other step, all depths in the others (BERxiT, Xin et al., EACL 2021)."""

    turn = 0

    def forward(self, exit_logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch, by turns."""
        if torch.is_grad_enabled():
            self.turn += 1
        if self.turn % 2 == 0:
            return super().forward(exit_logits, labels)
        return functional.cross_entropy(exit_logits[-1].float(), labels) * self.depths


class Centred(ExitObjective):
    """Each text weighs the depths around the one where it would exit now, so that training sees what inference uses.

    After the idea of learning to weigh samples for early exits (Han et al., ECCV 2022), without their second network:
    the exit is that of the entropy rule on the batch's own answers. Every text's weights sum to the number of depths.
    """

    def forward(self, exit_logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        depths, rows, classes = exit_logits.shape
        logits = exit_logits.float()
        flat = functional.cross_entropy(logits.reshape(-1, classes), labels.repeat(depths), reduction="none")
        return (centred_weights(logits.detach()) * flat.view(depths, rows)).mean(1).sum()


def centred_weights(logits: Tensor) -> Tensor:
    """``[depths, rows]`` from ``logits [depths, rows, classes]``: largest where each text would exit, mean 1."""
    depths, _, classes = logits.shape
    log = logits.log_softmax(-1)
    entropy = -(log.exp() * log).sum(-1) / torch.tensor(float(classes)).log()
    settled = entropy < SETTLED
    settled[-1] = True
    exit_depth = settled.int().argmax(0)
    apart = (torch.arange(depths, device=logits.device)[:, None] - exit_depth).abs()
    near = (-apart / REACH).exp()
    return LEAST + (1 - LEAST) * near / near.mean(0)


def keep_gradients_apart(network: Any) -> None:
    """Let each depth's loss reach the shared layer at that depth only, not through the depths before it.

    The first depth's goes on into the embedding, as ever.

    Raises:
        InputError: the depths do not share one layer.
    """
    encoder = network.albert.encoder
    if len(encoder.albert_layer_groups) != 1:
        raise InputError("gradients are kept apart only where all depths share one layer group")
    first = True

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal first
        first = True

    def part(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal first
        hidden, first = (inputs[0] if first else inputs[0].detach()), False
        return (hidden, *inputs[1:])

    encoder.register_forward_pre_hook(begin)
    encoder.albert_layer_groups[0].register_forward_pre_hook(part)


WEIGHTINGS: dict[str, tuple[type[ExitObjective], dict[str, Any]]] = {
    "equal": (ExitObjective, {"weighting": "equal"}),
    "linear": (ExitObjective, {"weighting": "linear"}),
    "learned": (ExitObjective, {"weighting": "learned", "weight_floor": 0.1}),
    "learned-no-floor": (ExitObjective, {"weighting": "learned", "weight_floor": 0.0}),
    "last-half": (ExitObjective, {"weighting": "last-heavy", "last_share": 1 / 2}),
    "last-third": (ExitObjective, {"weighting": "last-heavy", "last_share": 1 / 3}),
    "alternating": (Alternating, {"weighting": "equal"}),
    "centred": (Centred, {"weighting": "equal"}),
    "own": (ExitObjective, {"weighting": "equal"}),
}
CHANGES: dict[str, dict[str, Any]] = {
    "distilled": {"distillation": 0.5},
    "mean": {"pooling": "mean"},
    "fitted": {"head_start": "fitted"},
}
USUAL: dict[str, Any] = {"head_start": "random"}  # what the published runs have
PLAIN = re.compile(r"plain-(L|\d+)")


@dataclass(frozen=True)
class Variant:
    """A way to train: ``depths`` is set where the classifier is shallower than its base, and read at its last only."""

    name: str
    objective: type[ExitObjective]
    options: ExitOptions
    depths: int | None = None
    own_gradients: bool = False

    @property
    def plain(self) -> bool:
        """Whether only the last depth is trained."""
        return self.objective is LastOnly

    @property
    def settings(self) -> dict[str, Any]:
        """For the record: what the result depends on."""
        options = asdict(self.options)
        if self.options.weighting != "last-heavy":
            del options["last_share"]  # not read, and runs from before it was an option are no others
        if self.options.head_start == USUAL["head_start"]:
            del options["head_start"]  # as above
        return {"objective": self.objective.__name__, "own_gradients": self.own_gradients, **options}


def parse_variant(name: str, depths: int) -> Variant:
    """The way to train of that name, from a base of so many depths.

    Raises:
        InputError: there is none.
    """
    if plain := PLAIN.fullmatch(name):
        k = depths if plain[1] == "L" else int(plain[1])
        if not 1 <= k <= depths:
            raise InputError(f"{name}: the base has {depths} depths, so plain-1 to plain-{depths}")
        return Variant(f"plain-{k}", LastOnly, ExitOptions(**USUAL), k)
    weighting, *changes = name.split("+")
    if weighting not in WEIGHTINGS or any(change not in CHANGES for change in changes):
        raise InputError(
            f"no way to train is called {name!r}; expected one of {', '.join(WEIGHTINGS)}, plain-K, "
            f"with {' or '.join('+' + change for change in CHANGES)} if you like"
        )
    objective, options = WEIGHTINGS[weighting]
    if "distilled" in changes and objective is Centred:
        raise InputError(f"{name}: centred weights do not combine with distillation")
    for change in changes:
        options = options | CHANGES[change]
    return Variant(name, objective, ExitOptions(**(USUAL | options)), own_gradients=weighting == "own")


def shallower(depths: int, speedups: tuple[float, ...], slack: float) -> list[int]:
    """The depths of the classifiers trained alone that cost about what each speed-up allows, and the whole depth."""
    return sorted({max(1, int(depths / s * (1 + slack))) for s in speedups} | {depths})
