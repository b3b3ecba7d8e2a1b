"""Ways to train, by name: what the depths' losses weigh, then what is changed beside it, joined by ``+``.

``equal``, ``linear``, ``learned`` (floor 0.1), ``learned-no-floor``; ``last-half``, ``last-third``,
``alternating``, ``centred``, ``own``;
``plain-K`` is a classifier of K depths trained alone, on its last depth only, ``plain-L`` one of the base's depths.
``+distilled``: half of each earlier depth's loss is taught by the last; ``+mean``: the head reads the tokens' mean.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from elbert.errors import InputError
from elbert.training.objective import ExitObjective
from elbert.training.options import ExitOptions
from lab.objectives import Alternating, Centred, LastOnly

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
CHANGES: dict[str, dict[str, Any]] = {"distilled": {"distillation": 0.5}, "mean": {"pooling": "mean"}}
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
        return {"objective": self.objective.__name__, "own_gradients": self.own_gradients, **options}


def variant(name: str, depths: int) -> Variant:
    """The way to train of that name, from a base of so many depths.

    Raises:
        InputError: there is none.
    """
    if plain := PLAIN.fullmatch(name):
        k = depths if plain[1] == "L" else int(plain[1])
        if not 1 <= k <= depths:
            raise InputError(f"{name}: the base has {depths} depths, so plain-1 to plain-{depths}")
        return Variant(f"plain-{k}", LastOnly, ExitOptions(), k)
    weighting, *changes = name.split("+")
    if weighting not in WEIGHTINGS or any(change not in CHANGES for change in changes):
        raise InputError(
            f"no way to train is called {name!r}; expected one of {', '.join(WEIGHTINGS)}, plain-K, "
            f"with {' or '.join('+' + change for change in CHANGES)} if you like"
        )
    objective, options = WEIGHTINGS[weighting]
    if "distilled" in changes and objective is Centred:
        raise InputError(f"{name}: centred weights have no teaching by the last depth")
    for change in changes:
        options = options | CHANGES[change]
    return Variant(name, objective, ExitOptions(**options), own_gradients=weighting == "own")


def shallower(depths: int, speedups: tuple[float, ...], slack: float) -> list[int]:
    """The depths of the classifiers trained alone that cost about what each speed-up allows, and the whole depth."""
    return sorted({max(1, int(depths / s * (1 + slack))) for s in speedups} | {depths})
