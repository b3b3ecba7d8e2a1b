"""The two parts of data that calibration needs: one to choose an operating point, one to measure it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elbert.calibration import CertifiedRisk, Goal
from elbert.calibration.certify import check_enough
from elbert.cli.flags import load_classifier
from elbert.cli.inputs import read_data
from elbert.errors import DataError, InputError
from elbert.evaluation import Outputs, Targets, collect, split_indices

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.tokenization.tokens import Text


@dataclass(frozen=True)
class DataPart:
    """Texts, and their targets if they have labels."""

    texts: Sequence[Text]
    labels: Targets | None

    def select(self, index: Sequence[int]) -> DataPart:
        """Return the texts at these positions."""
        return DataPart([self.texts[i] for i in index], None if self.labels is None else self.labels.take(index))

    def collect_outputs(self, classifier: Classifier) -> Outputs:
        """Return the probabilities of every depth."""
        return collect(classifier, self.texts, self.labels)


@dataclass(frozen=True)
class DataParts:
    """The part to choose on (None where the order of policies is fixed), and the part to measure on."""

    tuning: DataPart | None
    measured: DataPart

    @property
    def has_labels(self) -> bool:
        """Whether the texts have labels."""
        return self.measured.labels is not None

    def check_enough(self, goal: Goal) -> None:
        """Check that there are enough texts for the goal's certificate, if it has one.

        Raises:
            InputError: there are too few.
        """
        if isinstance(goal, CertifiedRisk):
            check_enough(len(self.measured.texts), goal.risk, goal.error)

    def collect_outputs(
        self, arguments: argparse.Namespace, classifier: Classifier
    ) -> tuple[Outputs | None, dict[str, Outputs]]:
        """Return ``(outputs of the tuning part or None, outputs of the measured part by precision)``."""
        also = [dtype for dtype in arguments.also_dtype if dtype != classifier.dtype]
        others = {d: load_classifier(argparse.Namespace(**vars(arguments) | {"dtype": d}), "full") for d in also}
        tuning = None if self.tuning is None else self.tuning.collect_outputs(classifier)
        return tuning, {
            dtype: self.measured.collect_outputs(c) for dtype, c in ({classifier.dtype: classifier} | others).items()
        }


def read_parts(arguments: argparse.Namespace, classifier: Classifier) -> DataParts:
    """Read ``--tuning`` and ``--data``, or split ``--data`` into the two parts.

    Where policies in a fixed order are certified, all of ``--data`` is measured.

    Raises:
        DataError: a file cannot be used, or only one of them has labels.
        InputError: one of the parts is empty.
    """
    if arguments.data == "-":
        raise InputError("calibration stores the hash of its data file: use a file, not standard input")
    whole = DataPart(*read_data(arguments.data, arguments.skip_bad, classifier))
    if arguments.policies and arguments.risk is not None and arguments.tuning is None:
        return DataParts(None, whole)
    if arguments.tuning is None:
        chosen, rest = split_indices(len(whole.texts), arguments.tuning_share)
        if not len(chosen) or not len(rest):
            raise InputError(f"{arguments.data}: {len(whole.texts)} texts cannot be split into two parts; give more")
        return DataParts(whole.select(chosen.tolist()), whole.select(rest.tolist()))
    tuning = DataPart(*read_data(arguments.tuning, arguments.skip_bad, classifier))
    if (tuning.labels is None) != (whole.labels is None):
        raise DataError(f"{arguments.tuning} and {arguments.data}: one has labels and the other has none")
    return DataParts(tuning, whole)
