"""The two parts of data that calibration needs: one to choose an operating point, one to measure it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elbert._display import plural
from elbert.calibration.certify import check_enough
from elbert.calibration.search import CertifiedRisk, Goal
from elbert.classifier import Classifier
from elbert.data import Example, SkipBad
from elbert.errors import DataError, InputError
from elbert.evaluation import FEWEST, Outputs, Targets, split_indices
from elbert.evaluation.document_outputs import DocumentOutputs
from elbert.evaluation.labelled_data import collect_examples, collect_windows
from elbert.inference import Windows


@dataclass(frozen=True)
class DataPart:
    """Examples, and their targets if they have labels."""

    examples: Sequence[Example]
    labels: Targets | None

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.examples)

    def select(self, index: Sequence[int]) -> DataPart:
        """Return the examples at these positions."""
        return DataPart([self.examples[i] for i in index], None if self.labels is None else self.labels.take(index))

    def collect_outputs(
        self, classifier: Classifier, skip_bad: SkipBad | None = None, windows: Windows | None = None
    ) -> tuple[DataPart, Outputs | DocumentOutputs]:
        """Return the examples that have outputs, and the outputs of every depth; with ``windows``, of all windows.

        Raises:
            BadRow: the model cannot take an example, and there is no ``skip_bad``.
        """
        examples: Sequence[Example]
        outputs: Outputs | DocumentOutputs
        if windows is None:
            examples, outputs = collect_examples(classifier, self.examples, self.labels, skip_bad)
        else:
            examples, outputs = collect_windows(classifier, self.examples, self.labels, windows, skip_bad)
        return DataPart(examples, None if self.labels is None else Targets(outputs.labels)), outputs


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
        """Check that there are enough texts to choose and measure a policy, and for a certificate.

        Raises:
            InputError: there are too few.
        """
        if isinstance(goal, CertifiedRisk):
            check_enough(len(self.measured), goal.risk, goal.error)
        sizes = [len(part) for part in (self.tuning, self.measured) if part is not None]
        if min(sizes) < FEWEST:
            raise InputError(
                f"too few texts to choose and measure a policy: {sum(sizes)}, expected at least {FEWEST} in each part"
            )

    def collect_outputs(
        self, classifiers: Mapping[str, Classifier], skip_bad: SkipBad | None = None, windows: Windows | None = None
    ) -> tuple[Outputs | DocumentOutputs | None, dict[str, Outputs | DocumentOutputs]]:
        """Return the outputs of the tuning part, None without one, and those of the measured part by precision.

        ``classifiers`` are by precision; the first one also computes the tuning part, and skips bad rows for all.
        ``windows`` is how long texts are read, where they are not cut.

        Raises:
            BadRow: a model cannot take an example.
        """
        (dtype, first), *others = classifiers.items()
        tuning = None if self.tuning is None else self.tuning.collect_outputs(first, skip_bad, windows)[1]
        measured, outputs = self.measured.collect_outputs(first, skip_bad, windows)
        also = {name: measured.collect_outputs(each, windows=windows)[1] for name, each in others}
        return tuning, {dtype: outputs, **also}


def resolve_windows(classifier: Classifier, long: str | Windows | None) -> Windows | None:
    """Return the windows in which long texts are read for calibration; None where they are cut.

    Raises:
        InputError: the spec cannot be read, or the model tags tokens, whose windows are all read.
        PolicyError: its policy cannot be read.
    """
    windows = None if long is None else classifier.resolve_long(long)
    if windows is not None and classifier.bundle.config.task.per_token:
        raise InputError(
            "token classification reads all windows of a text, so no stop is to be measured: leave long out"
        )
    return windows


def make_parts(
    whole: DataPart, tuning: DataPart | None, share: float, *, is_order_fixed: bool, source: str = "data"
) -> DataParts:
    """Return the two parts: the tuning part, or a random share of ``whole``, and the rest.

    Where the order of policies is fixed and there is no tuning part, all of ``whole`` is measured.

    Raises:
        DataError: only one of the parts has labels.
        InputError: one of the parts would be empty.
    """
    if tuning is None and is_order_fixed:
        return DataParts(None, whole)
    if tuning is None:
        chosen, rest = split_indices(len(whole), share)
        if not len(chosen) or not len(rest):
            raise InputError(f"{source}: {plural(len(whole), 'text')} cannot be split into two parts; give more")
        return DataParts(whole.select(chosen.tolist()), whole.select(rest.tolist()))
    if (tuning.labels is None) != (whole.labels is None):
        raise DataError(f"{source} and the tuning data: one has labels and the other has none")
    return DataParts(tuning, whole)
