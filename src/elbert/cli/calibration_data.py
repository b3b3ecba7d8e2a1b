"""The two parts of the data that calibration needs: one to choose a policy on, one to measure it on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elbert.calibration import Promised, Wish
from elbert.calibration.risk import check_enough
from elbert.cli.data import read_data
from elbert.cli.options import load_classifier
from elbert.errors import DataError, InputError
from elbert.evaluation import Outputs, collect, split

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.text import Text


@dataclass(frozen=True)
class Part:
    """Texts, and their labels if they have any."""

    texts: Sequence[Text]
    labels: Sequence[Any] | None

    def take(self, index: Sequence[int]) -> Part:
        """Some of them."""
        return Part([self.texts[i] for i in index], None if self.labels is None else [self.labels[i] for i in index])

    def outputs(self, classifier: Classifier) -> Outputs:
        """What every depth says about them."""
        return collect(classifier, self.texts, self.labels)


@dataclass(frozen=True)
class Parts:
    """The part to choose on, and the part to measure on."""

    tuning: Part | None
    measured: Part

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.measured.labels is not None

    def check_enough(self, wish: Wish) -> None:
        """Refuse a certificate that so few texts cannot give.

        Raises:
            InputError: there are too few.
        """
        if isinstance(wish, Promised):
            check_enough(len(self.measured.texts), wish.risk, wish.error)

    def outputs(
        self, arguments: argparse.Namespace, classifier: Classifier
    ) -> tuple[Outputs | None, dict[str, Outputs]]:
        """``(outputs of the tuning part if there is one, outputs of the other by precision)``."""
        also = [dtype for dtype in arguments.also_dtype if dtype != classifier.dtype]
        others = {d: load_classifier(argparse.Namespace(**vars(arguments) | {"dtype": d}), "full") for d in also}
        tuning = None if self.tuning is None else self.tuning.outputs(classifier)
        return tuning, {
            dtype: self.measured.outputs(c) for dtype, c in ({classifier.dtype: classifier} | others).items()
        }


def read_parts(arguments: argparse.Namespace, classifier: Classifier) -> Parts:
    """Two files, or one that is split, or one that is all measured on where policies fixed beforehand are certified.

    Raises:
        DataError: a file cannot be used, or only one of them has labels.
        InputError: one of the parts is empty.
    """
    if arguments.data == "-":
        raise InputError("calibration is bound to a data file by its hash: give a file, not standard input")
    whole = Part(*read_data(arguments.data, arguments.skip_bad, classifier))
    if arguments.policies and arguments.risk is not None and arguments.tuning is None:
        return Parts(None, whole)
    if arguments.tuning is None:
        chosen, rest = split(len(whole.texts), arguments.tuning_share)
        if not len(chosen) or not len(rest):
            raise InputError(f"{arguments.data}: {len(whole.texts)} texts cannot be split into two parts; give more")
        return Parts(whole.take(chosen.tolist()), whole.take(rest.tolist()))
    tuning = Part(*read_data(arguments.tuning, arguments.skip_bad, classifier))
    if (tuning.labels is None) != (whole.labels is None):
        raise DataError(f"{arguments.tuning} and {arguments.data}: one has labels and the other has none")
    return Parts(tuning, whole)
