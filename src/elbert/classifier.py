"""The classifier: texts in, predictions out, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch

from elbert.bundle import Bundle
from elbert.depth import Exits, admit, advance, batches, predictions
from elbert.errors import BundleError, InputError
from elbert.exits import Policy, fitting
from elbert.model import Backend, TorchBackend
from elbert.prediction import Prediction
from elbert.text import Tokeniser, Tokens

Text = str | tuple[str, str]
Dtype = Literal["auto", "float32", "bfloat16"]

LOOK_AHEAD = 4096  # texts read ahead of the answers, so that rows of like length can share a batch
MOST_THREADS = 1024  # beyond what a machine can start, OpenMP ends the process
DTYPES = {"auto": torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16}


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
        max_rows: int = 256,
        max_tokens: int = 8192,
        threads: int | None = None,
    ) -> None:
        self.bundle = bundle
        self.tokeniser = tokeniser
        self.backend = backend
        self.policy = policy
        self.max_rows = _positive("max_rows", max_rows)
        self.max_tokens = _positive("max_tokens", max_tokens)
        self.threads = None if threads is None else _positive("threads", threads, MOST_THREADS)

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        policy: str | Policy | None = None,
        *,
        dtype: Dtype = "auto",
        device: str = "auto",
        max_rows: int = 256,
        max_tokens: int = 8192,
        threads: int | None = None,
    ) -> Classifier:
        """Load a folder or hub id; with no argument at all, the bundled model.

        ``policy`` is a spec or the name of one of the model's operating points; unsaid, the model's default point,
        or ``full`` where it has none. At most ``max_rows`` rows and ``max_tokens`` padded tokens share a layer call.
        ``threads`` holds only inside calls of this classifier.

        Raises:
            BundleError: the model cannot be used.
            PolicyError: the policy cannot be read.
            InputError: an option is not acceptable.
        """
        if dtype not in DTYPES:
            raise InputError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
        bundle = Bundle.open(model)
        place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        tokeniser = Tokeniser.load(bundle.folder, bundle.config.max_position_embeddings)
        if tokeniser.vocab_size > bundle.config.vocab_size:
            raise BundleError(
                f"{bundle.folder}: the tokenizer knows {tokeniser.vocab_size} tokens, the model "
                f"{bundle.config.vocab_size}: they belong to different models; restore the tokenizer files"
            )
        backend = TorchBackend.load(bundle.folder, bundle.config, dtype=DTYPES[dtype], device=place)
        classifier = cls(
            bundle, tokeniser, backend, bundle.policy(), max_rows=max_rows, max_tokens=max_tokens, threads=threads
        )
        classifier.policy = classifier.usable(policy)
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
        self, texts: Iterable[Text], policy: str | Policy | None = None, *, trace: bool = False
    ) -> Iterator[Prediction]:
        """Predictions in the order of an iterable of any length, in bounded memory."""
        chosen = self.usable(policy)
        source = iter(texts)
        seen = 0
        while ahead := list(islice(source, LOOK_AHEAD)):
            answers: dict[int, Prediction] = {}
            for exits in self.exits(self.tokeniser.encode(checked(ahead, seen)), chosen, remember=trace):
                answers.update(predictions(exits, self.bundle.config))
            yield from (answers[i] for i in range(len(ahead)))
            seen += len(ahead)

    def exits(self, tokens: Sequence[Tokens], policy: Policy, *, remember: bool = False) -> Iterator[Exits]:
        """Rows as they leave, in any order; their identity is the index into ``tokens``."""
        for batch in batches([len(t.ids) for t in tokens], self.max_rows, self.max_tokens):
            with torch.inference_mode(), self._threads():
                rows = admit([tokens[i] for i in batch], batch, self.backend, policy, remember=remember)
                left = []
                while len(rows):
                    rows, exits = advance(rows, self.backend, policy)
                    left.append(exits)
            yield from left

    def usable(self, policy: str | Policy | None) -> Policy:
        """The policy of a spec, a point's name, or this classifier's own, if this model can follow it.

        Raises:
            PolicyError: the spec cannot be read, or names a depth that the model does not have.
            InputError: the model is a regression, which has no exits.
        """
        chosen = self.policy if policy is None else self.bundle.policy(policy)
        return fitting(chosen, self.depths, regression=self.bundle.config.problem == "regression")

    @contextmanager
    def _threads(self) -> Iterator[None]:
        if self.threads is None:
            yield
            return
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def checked(texts: Sequence[Any], start: int = 0) -> list[Text]:
    """The texts, each a string or a pair of strings; ``start`` is the number of the first, for errors.

    Raises:
        InputError: one is something else; the message says which.
    """
    return [_checked(text, index) for index, text in enumerate(texts, start)]


def _checked(text: Any, index: int) -> Text:
    pair = isinstance(text, (tuple, list)) and len(text) == 2
    parts = tuple(text) if pair else (text,)
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"text {index} is {type(text).__name__}, expected a string or a pair (text, text_pair)")
    try:
        for part in parts:
            part.encode()
    except UnicodeEncodeError:
        raise InputError(f"text {index} holds a lone surrogate, which is no character; came {text!a:.80}") from None
    return (parts[0], parts[1]) if pair else parts[0]


def _positive(name: str, value: int, most: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (most and value > most):
        upto = f" to {most}" if most else ""
        raise InputError(f"{name} is {value!r}, expected a whole number from 1{upto}")
    return value
