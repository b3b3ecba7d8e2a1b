"""The classifier: texts in, predictions out, in order."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from elbert import _html
from elbert._display import plural
from elbert._progress import count_each, show_progress
from elbert._settings import check_whole
from elbert.bundle import Bundle, ConditionsCheck, bundled_model
from elbert.classifier_methods import ClassifierMethods
from elbert.engine import (
    Capacity,
    Engine,
    RankedList,
    Source,
    StepResult,
    SweepQueue,
    TextReader,
    TokenList,
    WindowReader,
    name_text,
    order_results,
    raise_errors,
    run_engine,
)
from elbert.errors import BundleError, ElbertError, InputError
from elbert.exits import Policy, check_policy
from elbert.exits.spec import describe_idle_rules
from elbert.inference import (
    CUT,
    Exits,
    Windows,
    build_documents,
    build_predictions,
    build_token_predictions,
    check_tokens,
    parse_long,
)
from elbert.model import Backend, Precision, TorchBackend, check_device, fastest_precision
from elbert.model.isolation import check_process, check_threads, limit_threads, use_threads
from elbert.prediction import Prediction, Predictions
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokens import Text, check_texts

Dtype = Literal["auto"] | Precision

# Enough rows for matrix products at their full rate, and few enough for the caches of the device.
DEFAULT_CAPACITY = {"cpu": Capacity(128, 2048), "cuda": Capacity(2048, 65536)}
REFILL = 1 / 8  # share of the places that must be free before new texts start
LONG = 1000  # texts from which a call shows its progress


class Classifier(ClassifierMethods):
    """An ALBERT classifier that stops each text at the depth where its answer is settled.

    >>> classifier = Classifier.load()
    >>> classifier.predict(["A charming and often affecting journey."])[0].label
    'positive'

    It may be used from several threads at once, and after a fork: there the thread that forked computes with one
    thread. Pickled or copied, it is loaded again from its folder, with the same settings.
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
        self._conditions = ConditionsCheck(bundle, dtype, tokeniser.max_length)
        self._checked_policy: Policy | None = None
        self._noted: set[str] = set()  # rules that this model has too few depths for
        self._compared_run: tuple[Policy, Windows | None] | None = None
        default = DEFAULT_CAPACITY[backend.device.type]
        self.capacity = Capacity(
            default.rows if max_rows is None else check_whole("max_rows", max_rows),
            default.tokens if max_tokens is None else check_whole("max_tokens", max_tokens),
        )
        self.threads = check_threads(threads) or limit_threads()
        self._process = os.getpid()
        self._folder = bundle.folder.absolute()  # now: the working directory may change
        self._temporary: object = None

    def __reduce__(self) -> tuple[Callable[..., Classifier], tuple[type[Classifier], dict[str, Any]]]:
        """Pickle and copy the settings only: the copy loads the same folder again."""
        settings = {
            "model": None if self._folder == bundled_model() else self._folder,
            "policy": self.policy,
            "dtype": self.dtype,
            "device": str(self.backend.device),
            "max_rows": self.capacity.rows,
            "max_tokens": self.capacity.tokens,
            "threads": self.threads,
            "strict": self.strict,
        }
        return reload_classifier, (type(self), settings)

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
        """Load a folder or hub id; without arguments, or for ``bundled``, the bundled model.

        ``policy`` is a spec or the name of one of the model's operating points; the default is the model's default
        point, or ``full`` if it has none. ``dtype`` is the precision: ``auto`` is the fastest one on this machine, of
        float32 and those that keep this model's predictions (``precisions`` in its ``exits.json``). At most
        ``max_rows`` rows and ``max_tokens`` tokens share a layer call; the defaults depend on the device. ``threads``
        applies only inside calls of this classifier; torch's own setting stays as it is. An operating point that was
        calibrated with other weights, another dtype or another text length gives a :class:`ConditionsWarning`, or an
        error with ``strict``.

        Raises:
            BundleError: the model, or with ``strict`` the operating point, cannot be used.
            PolicyError: the policy cannot be read.
            InputError: an option is out of range.
        """
        check_threads(threads)
        if device != "auto":
            check_device(device)
        bundle = Bundle.open(model)
        device_name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        tokeniser = bundle.load_tokeniser()
        with use_threads(threads):
            precision = fastest_precision(bundle.safe_precisions, device_name) if dtype == "auto" else dtype
            backend = TorchBackend.load(bundle.folder, bundle.config, precision=precision, device=device_name)
        classifier = cls(
            bundle,
            tokeniser,
            backend,
            bundle.resolve_policy(),
            dtype=precision,
            max_rows=max_rows,
            max_tokens=max_tokens,
            threads=threads,
            strict=strict,
        )
        classifier.policy = classifier.resolve_policy(bundle.default if policy is None else policy)
        return classifier

    def __repr__(self) -> str:
        """Return folder, policy and precision in one line."""
        device = self.backend.device
        return f"<Classifier {str(self._folder)!r}, policy {str(self.policy)!r}, {self.dtype} on {device}>"

    def _repr_html_(self) -> str:
        """Return the summary that notebooks show."""
        rows = [
            ("model", self._folder),
            *self.bundle.describe(),
            ("policy", self.policy),
            ("precision", f"{self.dtype} on {self.backend.device}"),
            ("longest text", f"{plural(self.tokeniser.max_length, 'token')}"),
        ]
        return _html.table((), rows, caption="elbert classifier")

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in index order."""
        return self.bundle.config.labels

    @property
    def depths(self) -> int:
        """The largest depth."""
        return self.bundle.config.depths

    def predict(
        self,
        texts: Iterable[Text],
        policy: str | Policy | None = None,
        *,
        trace: bool = False,
        long: str | Windows | None = None,
    ) -> Predictions:
        """Return one prediction per text or pair ``(text, text_pair)``, in order.

        ``texts`` is a list, any other iterable, or the column of a table: ``df["text"]``. A second text that
        is empty or missing is none.

        A text that is longer than the model is cut, or with ``long="windows"`` read in windows that overlap, until
        the policy is settled about their mean. ``windows(COMBINATION, POLICY)`` has ``mean``, ``maximum`` or ``vote``,
        and a policy whose depths are windows; ``windows(mean, full)`` reads all of them.

        Raises:
            InputError: the texts are one string, a table or a mapping, an item is neither a string nor a pair of
                strings, or the model cannot take a text.
            PolicyError: the policy cannot be read.
        """
        predictions = self.stream(texts, policy, trace=trace, long=long)
        if not isinstance(texts, Sized) or len(texts) < LONG:
            return Predictions(predictions)
        with show_progress("predict", len(texts)) as advance:
            return Predictions(count_each(predictions, advance))

    def __call__(
        self,
        texts: Iterable[Text],
        policy: str | Policy | None = None,
        *,
        trace: bool = False,
        long: str | Windows | None = None,
    ) -> Predictions:
        """Return what :meth:`predict` returns."""
        return self.predict(texts, policy, trace=trace, long=long)

    def predict_proba(
        self, texts: Iterable[Text], policy: str | Policy | None = None, *, long: str | Windows | None = None
    ) -> NDArray[np.float32]:
        """Return ``[texts, labels]``: the probability of each label, in the order of :attr:`labels`.

        For a regression the one column has the value. Each text's probabilities are those at the depth of its exit;
        with ``long`` those of its windows, combined.

        Raises:
            InputError, PolicyError: as for :meth:`predict`.
        """
        if self.bundle.config.task.per_token:
            raise InputError("predict_proba has one row for each text, and this model tags words: use predict")
        rows = [list(prediction.scores.values()) for prediction in self.predict(texts, policy, long=long)]
        return np.array(rows, np.float32).reshape(len(rows), len(self.labels))

    def stream(
        self,
        texts: Iterable[Text],
        policy: str | Policy | None = None,
        *,
        trace: bool = False,
        live: bool = False,
        long: str | Windows | None = None,
    ) -> Iterator[Prediction]:
        """Yield predictions in the order of an iterable of any length, in bounded memory.

        Reads some thousands of texts ahead. A ``live`` iterable may wait for predictions before it yields the next
        text: it is read in a separate thread, and every text is classified as soon as it arrives. Where such a stream
        is closed or dropped before its end, the thread ends at the iterable's next text, and closes the iterable. An
        error of the iterable or of one text is raised after the predictions of all texts before it. ``long`` is as in
        :meth:`predict`.

        Raises:
            InputError, PolicyError: as for :meth:`predict`; for what is no iterable of texts, at once.
        """
        return raise_errors(self._start(texts, policy, trace, live, long))

    def stream_results(
        self,
        texts: Iterable[Text],
        policy: str | Policy | None = None,
        *,
        trace: bool = False,
        live: bool = False,
        long: str | Windows | None = None,
    ) -> Iterator[Prediction | Exception]:
        """Yield what :meth:`stream` yields, and the error of each text that has no prediction, in its place.

        Raises:
            InputError, PolicyError: as for :meth:`stream`, but not for single texts.
        """
        return self._start(texts, policy, trace, live, long)

    def _start(
        self, texts: Iterable[Text], policy: str | Policy | None, trace: bool, live: bool, long: str | Windows | None
    ) -> Generator[Prediction | Exception]:
        checked, chosen, windows = check_texts(texts), self.resolve_policy(policy), self.resolve_long(long)
        self.check_long(chosen, windows)
        return self._classify(checked, chosen, trace, live, windows)

    def _classify(
        self, texts: Iterable[object], policy: Policy, trace: bool, live: bool, windows: Windows | None
    ) -> Generator[Prediction | Exception]:
        if trace and windows is not None and not self.bundle.config.task.per_token:
            raise InputError(
                "a trace has the depths of one row, and a text in windows has several rows: use one of both"
            )
        source = self._open_source(texts, policy, live, windows)
        with closing(source):
            steps = self.early_exit_loop(source, policy, keep_trace=trace)
            yield from order_results(steps, source, partial(self._build_predictions, source=source))

    def _open_source(self, texts: Iterable[object], policy: Policy, live: bool, windows: Windows | None) -> TextReader:
        if windows is None:
            return TextReader(texts, self.tokeniser, live=live)
        config, tokeniser = self.bundle.config, self.tokeniser
        build = partial(build_documents, tokeniser=tokeniser, config=config, options=windows, policy=policy)
        return WindowReader(texts, tokeniser, build, live=live)

    def _build_predictions(self, exits: Exits, source: TextReader) -> Iterator[tuple[int, Prediction]]:
        config, truncated = self.bundle.config, source.truncated
        if config.task.per_token:
            return build_token_predictions(exits, config, source.sources, self.tokeniser, truncated)
        return build_predictions(exits, config, truncated)

    def encode_each(self, texts: Sequence[Text]) -> list[Tokens | ElbertError]:
        """Return the tokens of each text, or why the model cannot take it."""
        rows = self.tokeniser.encode_each(texts)
        for number, row in enumerate(rows):
            if isinstance(row, Tokens):
                try:
                    check_tokens(row, self.bundle.config)
                except InputError as error:
                    rows[number] = error
        return rows

    def exits(self, tokens: Sequence[Tokens], policy: Policy, *, keep_trace: bool = False) -> Iterator[Exits]:
        """Yield rows as they exit, in any order; their identity is the index into ``tokens``.

        Raises:
            ElbertError: a row cannot be classified.
        """
        for step in self.early_exit_loop(TokenList(tokens), policy, keep_trace=keep_trace):
            for failure in step.failures:
                raise name_text(failure.error, failure.identity)
            yield from step.exits

    def early_exit_loop(
        self,
        source: Source,
        policy: Policy,
        *,
        keep_trace: bool = False,
        find_list: Callable[[int], RankedList | None] = lambda _: None,
    ) -> Iterator[StepResult]:
        """Yield the result of every engine step; identities count the texts of ``source`` from 0.

        ``find_list`` has the list in which a text is ranked, by identity.
        """
        check_process(self.backend.device, self._process)
        # Rows of similar length share a call, because attention pads within a call where no kernel avoids it.
        engine = Engine(
            self.backend, self.capacity, keep_trace=keep_trace, queue=SweepQueue(), refill=REFILL, layers=self.depths
        )
        step_context = partial(use_threads, self.threads)
        rows = self.capacity.rows
        return run_engine(engine, source, policy, min_waiting=rows, step_context=step_context, find_list=find_list)

    def keep_alive(self, resource: object) -> None:
        """Keep an object, such as the temporary folder of the model, as long as this classifier."""
        self._temporary = resource

    def resolve_policy(self, policy: str | Policy | None, *, is_ranked: bool = False) -> Policy:
        """Return the policy of a spec or an operating point's name; None is this classifier's own policy.

        ``is_ranked``: for texts of a list that is ranked, whose scores a policy may compare.

        A rule over more depths than the model has, which never ends a text early, gives a warning.

        Raises:
            PolicyError: the spec cannot be read, or names a depth that the model does not have.
            BundleError: with ``strict``, the conditions of the operating point do not hold.
        """
        if isinstance(policy, str):
            self._conditions.check_point(policy.strip(), strict=self.strict)
        if policy is None and self.policy is self._checked_policy:
            return self.policy
        chosen = self.policy if policy is None else self.bundle.resolve_policy(policy)
        task = self.bundle.config.task
        check_policy(chosen, self.depths, task.content, per_token=task.per_token, is_ranked=is_ranked)
        for line in describe_idle_rules(chosen, self.depths):
            if line not in self._noted:  # once, whichever call names the policy
                self._noted.add(line)
                warnings.warn(line, stacklevel=4)
        if policy is None:
            self._checked_policy = chosen
        return chosen

    def resolve_long(self, long: str | Windows | None) -> Windows | None:
        """Return how texts that are longer than the model are read: in windows, or None where they are cut.

        Raises:
            InputError: the spec cannot be read, or does not fit the model.
            PolicyError: its policy cannot be read.
        """
        if long is None and not self.bundle.config.task.per_token:  # the usual case, without a look at documents
            return None
        return parse_long(long, self.bundle.config, self.bundle.resolve_policy)

    def check_long(self, policy: Policy, windows: Windows | None) -> None:
        """Compare how long texts are read with the conditions of the operating point that a policy comes from.

        Raises:
            BundleError: with ``strict``, they do not hold.
        """
        run = self._compared_run
        if run is not None and run[0] is policy and run[1] is windows:  # the usual case
            return
        self._conditions.check_long(policy, CUT if windows is None else windows, strict=self.strict)
        self._compared_run = policy, windows


def reload_classifier(kind: type[Classifier], settings: dict[str, Any]) -> Classifier:
    """Load the classifier that was pickled or copied.

    Raises:
        BundleError: its folder is not there, as on another machine.
    """
    if settings["model"] is not None and not settings["model"].is_dir():
        raise BundleError(
            f"{settings['model']}: no such folder; a classifier is pickled as the name of its folder and its settings: "
            "put the folder there, or call Classifier.load in each process"
        )
    return kind.load(**settings)
