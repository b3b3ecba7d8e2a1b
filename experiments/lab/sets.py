"""The data sets: which part is the test, how much is held out, where sizes are capped, and how long is trained.

Caps are there so that a run is minutes on two processor cores. Epochs and rates were set once for all variants, not
tuned for any; the settings of a run are in its record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from elbert.errors import InputError

Kind = Literal["sentence", "document", "pair"]
SINGLE: tuple[Kind, ...] = ("sentence", "document")


@dataclass(frozen=True)
class DataSet:
    """A data set as these experiments use it; ``stopping`` and ``calibration`` are texts cut from training data."""

    name: str
    kind: Kind
    test: str  # "test", "validation" where test labels are not public, "fold 0" where there is no official split
    stopping: int
    calibration: int
    max_length: int  # tokens
    epochs: float = 3.0
    rate: float = 1e-4
    batch: int = 32
    most_train: int | None = None
    most_test: int | None = None
    by_sentence: bool = False  # training rows are phrases of sentences, which are held out whole

    @property
    def cut(self) -> dict[str, Any]:
        """What decides which text goes where."""
        values = asdict(self)
        return {name: values[name] for name in CUT}

    @property
    def training(self) -> dict[str, Any]:
        """What decides how the network is trained."""
        return {"epochs": self.epochs, "rate": self.rate, "batch": self.batch, "max_length": self.max_length}


CUT = ("name", "test", "stopping", "calibration", "most_train", "most_test", "by_sentence")

SETS = {
    each.name: each
    for each in (
        DataSet("trec6", "sentence", "test", 400, 800, 48),
        DataSet("cr", "sentence", "fold 0", 300, 600, 96),
        DataSet("subj", "sentence", "fold 0", 500, 1000, 96, epochs=2),
        DataSet("mr", "sentence", "fold 0", 500, 1000, 80, epochs=2),
        DataSet("sst2", "sentence", "test", 500, 1000, 64, epochs=2, most_train=24_000, by_sentence=True),
        DataSet("banking77", "sentence", "test", 500, 1000, 64, epochs=6, rate=2e-4),
        DataSet("clinc150", "sentence", "test", 750, 1500, 48, epochs=5, rate=2e-4),
        DataSet("ag_news", "sentence", "test", 500, 1000, 96, epochs=2, most_train=8_000),
        DataSet("imdb", "document", "test", 500, 1000, 192, epochs=2, most_train=4_000, most_test=2_500),
        DataSet("mrpc", "pair", "test", 300, 600, 128, epochs=4),
        DataSet("rte", "pair", "validation", 250, 500, 160, epochs=4),
    )
}


def find_sets(names: Sequence[str]) -> list[DataSet]:
    """The sets of those names.

    Raises:
        InputError: one is unknown.
    """
    unknown = [name for name in names if name not in SETS]
    if unknown:
        raise InputError(f"no data set is called {unknown[0]!r}; expected some of {', '.join(SETS)}")
    return [SETS[name] for name in names]


def with_training(data: DataSet, epochs: float | None, rate: float | None) -> DataSet:
    """The set trained for other epochs or at another rate, where one is set."""
    longer = data if epochs is None else replace(data, epochs=epochs)
    return longer if rate is None else replace(longer, rate=rate)
