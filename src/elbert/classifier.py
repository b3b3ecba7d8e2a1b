"""The classifier: texts in, predictions out, in order."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from elbert.bundle import Bundle, ConditionsWarning
from elbert.engine import Ahead, Capacity, Engine, Failure, InOrder, Left, Source, Sweep, Whole, drive
from elbert.errors import BundleError, InputError
from elbert.exits import Policy, fitting
from elbert.inference import Exits, predictions
from elbert.model import Backend, Precision, TorchBackend, fastest
from elbert.model.cpu import threads as limited
from elbert.prediction import Prediction
from elbert.texts import Text
from elbert.tokenization import Tokeniser, Tokens

Dtype = Literal["auto"] | Precision

# Enough for every product to run at its full rate, and not more than its caches like.
CAPACITY = {"cpu": Capacity(128, 2048), "cuda": Capacity(2048, 65536)}
REFILL = 1 / 8  # of the places are free before new texts start
MOST_THREADS = 1024  # beyond what a machine can start, OpenMP ends the process


class Classifier:
    """An ALBERT classifier that stops each text at the depth where its answer is settled.

    >>> classifier = Classifier.load()
    >>> classifier.predict(["A charming and often affecting journey."])[0].label
    'positive'
    """

    def __init__(
        self,
        bundle: Bundle,
        tokeniser: Tokeniser,
        backend: Backend,
        policy: Policy,
        *,
        dtype: Precision = "float32",
        max_rows: int | None = None,
        max_tokens: int | None = None,
        threads: int | None = None,
        strict: bool = False,
    ) -> None:
        self.bundle = bundle
        self.tokeniser = tokeniser
        self.backend = backend
        self.policy = policy
        self.dtype = dtype
        self.strict = strict
        self._compared: set[str] = set()  # operating points whose conditions were held against ours
        usual = CAPACITY[backend.device.type]
        self.capacity = Capacity(
            usual.rows if max_rows is None else _positive("max_rows", max_rows),
            usual.tokens if max_tokens is None else _positive("max_tokens", max_tokens),
        )
        self.threads = None if threads is None else _positive("threads", threads, MOST_THREADS)

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        policy: str | Policy | None = None,
        *,
        dtype: Dtype = "auto",
        device: str = "auto",
        max_rows: int | None = None,
        max_tokens: int | None = None,
        threads: int | None = None,
        strict: bool = False,
    ) -> Classifier:
        """Load a folder or hub id; with no argument at all, the bundled model.

        ``policy`` is a spec or the name of one of the model's operating points; unsaid, the model's default point,
        or ``full`` where it has none. ``dtype`` is the precision: ``auto`` is the fastest that this machine does
        well, of float32 and those that were found harmless on this model (``precisions`` in its ``exits.json``).
        At most ``max_rows`` rows and ``max_tokens`` tokens share a layer call (unsaid: as many as the device likes).
        ``threads`` holds only inside calls of this classifier. An operating point calibrated with other weights, dtype
        or length of texts gives a :class:`ConditionsWarning`; ``strict`` refuses it.

        Raises:
            BundleError: the model cannot be used, or under ``strict`` the operating point.
            PolicyError, InputError: the policy cannot be read, or an option is not acceptable.
        """
        bundle = Bundle.open(model)
        place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        tokeniser = bundle.tokeniser()
        precision = fastest(bundle.harmless, place) if dtype == "auto" else dtype
        backend = TorchBackend.load(bundle.folder, bundle.config, precision=precision, device=place)
        classifier = cls(
            bundle,
            tokeniser,
            backend,
            bundle.policy(),
            dtype=precision,
            max_rows=max_rows,
            max_tokens=max_tokens,
            threads=threads,
            strict=strict,
        )
        classifier.policy = classifier.usable(bundle.default if policy is None else policy)
        return classifier

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in index order."""
        return self.bundle.config.labels

    @property
    def depths(self) -> int:
        """How deep a text can go."""
        return self.bundle.config.depths

    def predict(
        self, texts: Iterable[Text], policy: str | Policy | None = None, *, trace: bool = False
    ) -> list[Prediction]:
        """One prediction per text or pair ``(text, text_pair)``, in order.

        Raises:
            InputError: something among the texts is neither a string nor a pair of strings.
            PolicyError: the policy cannot be read.
        """
        if isinstance(texts, str):
            raise InputError("predict takes several texts: put the one text into a list, [text]")
        return list(self.stream(texts, policy, trace=trace))

    def stream(
        self, texts: Iterable[Text], policy: str | Policy | None = None, *, trace: bool = False, live: bool = False
    ) -> Iterator[Prediction]:
        """Predictions in the order of an iterable of any length, in bounded memory.

        Reads some thousands of texts ahead. A ``live`` iterable, which may wait for answers before it gives the next
        text, is read in a thread of its own, and every text is answered as soon as it has come. What the iterable
        raises, or a text that cannot be answered, is raised when all texts before it have been answered.
        """
        source, order = Ahead(texts, self.tokeniser, live=live), InOrder[Prediction | Failure]()
        for left in self.leaving(source, self.usable(policy), remember=trace):
            for failure in left.failures:
                order.add(failure.identity, failure)
            for exits in left.exits:
                for number, prediction in predictions(exits, self.bundle.config):
                    order.add(number, prediction)
            for answer in order.due():
                if isinstance(answer, Failure):
                    raise answer.error
                yield answer
        source.complain()

    def exits(self, tokens: Sequence[Tokens], policy: Policy, *, remember: bool = False) -> Iterator[Exits]:
        """Rows as they leave, in any order; their identity is the index into ``tokens``.

        Raises:
            ElbertError: a row cannot be answered.
        """
        for left in self.leaving(Whole(tokens), policy, remember=remember):
            for failure in left.failures:
                raise failure.error
            yield from left.exits

    def leaving(self, source: Source, policy: Policy, *, remember: bool = False) -> Iterator[Left]:
        """Who leaves, step by step; identities count the source's texts from 0, and a text that fails fails alone."""
        # Rows of like length share a call: attention pads within it where no kernel spares it that.
        engine = Engine(self.backend, self.capacity, remember=remember, queue=Sweep(), refill=REFILL)
        return drive(engine, source, policy, enough=self.capacity.rows, within=partial(limited, self.threads))

    def usable(self, policy: str | Policy | None) -> Policy:
        """The policy of a spec, a point's name, or this classifier's own, if this model can follow it.

        Raises:
            PolicyError: the spec cannot be read, or names a depth that the model does not have.
            InputError: the model is a regression, which has no exits.
            BundleError: under ``strict``, what holds for an operating point does not hold here.
        """
        if isinstance(policy, str):
            self._compare(policy.strip())
        chosen = self.policy if policy is None else self.bundle.policy(policy)
        return fitting(chosen, self.depths, regression=self.bundle.config.problem == "regression")

    def _compare(self, name: str) -> None:
        if name in self._compared or name not in self.bundle.points:
            return
        if complaint := self.bundle.complaint(name, self.dtype, self.tokeniser.max_length):
            if self.strict:
                raise BundleError(complaint)
            warnings.warn(complaint, ConditionsWarning, stacklevel=4)
        self._compared.add(name)


def _positive(name: str, value: int, most: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (most and value > most):
        upto = f" to {most}" if most else ""
        raise InputError(f"{name} is {value!r}, expected a whole number from 1{upto}")
    return value
