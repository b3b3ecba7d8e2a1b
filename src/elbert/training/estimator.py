"""A scikit-learn estimator: fit, predict and predict_proba, for cross-validation and pipelines (extra ``train``)."""
# ruff: noqa: E402

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elbert._display import plural
from elbert._optional import require

require("sklearn", "train")  # before the imports below, so that the error names the remedy

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from elbert._progress import is_interactive
from elbert.bundle.publishing import TemporaryFolder, list_files
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.tokenization.tokens import Text, list_texts
from elbert.training.entry import train
from elbert.training.options import HELD_OUT

# Arguments of elbert.train that an estimator has in another place.
SET_BY_FIT = {
    "train": "the X and y of fit",
    "labels": "found in the y of fit",
    "output": "a temporary folder: classifier_.save keeps the model",
    "problem": "always single-label",
    "skip_bad": "not for data in memory",
}


class ElbertClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no type annotations
    """A text classifier for scikit-learn: ``cross_val_score``, ``Pipeline``, ``GridSearchCV``, pickling.

    >>> from sklearn.model_selection import cross_val_score
    >>> scores = cross_val_score(elbert.ElbertClassifier(), texts, labels)

    ``model`` is the folder or hub id to start from, by default the bundled model. ``validation`` is the share of the
    training data that chooses the checkpoint. ``policy`` decides when a text exits in predictions, by default at full
    depth. ``random_state`` is the seed. ``options`` are those of :func:`elbert.train`: ``{"learning_rate": 2e-4}``.

    After :meth:`fit`: ``classes_`` are the distinct labels, and ``classifier_`` is the :class:`Classifier`.
    """

    def __init__(
        self,
        model: str | Path = "bundled",
        *,
        policy: str = "full",
        validation: float = HELD_OUT,
        max_length: int | None = None,
        preset: str = "default",
        options: Mapping[str, Any] | None = None,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.policy = policy
        self.validation = validation
        self.max_length = max_length
        self.preset = preset
        self.options = options
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[Text], y: Sequence[Any]) -> ElbertClassifier:  # noqa: N803  # scikit-learn's names
        """Train on texts, or pairs of texts, ``[n]`` and their labels ``[n]``.

        Raises:
            InputError: a text is no string, there are fewer than two classes, or an option is not valid.
        """
        texts, labels = list_texts(X), np.asarray(y)
        if labels.ndim != 1 or len(labels) != len(texts):
            raise InputError(
                f"y has the shape {labels.shape}, expected {plural(len(texts), 'label')}, one for each text"
            )
        self.classes_, index = np.unique(labels, return_inverse=True)
        names = [str(label) for label in self.classes_.tolist()]
        if len({name.strip() for name in names}) < len(names) or not all(name.strip() for name in names):
            names = [f"class {number}" for number in range(len(names))]  # those of the labels are not distinct
        rows = [(text, names[number]) for text, number in zip(texts, index.tolist(), strict=True)]
        options = dict(self.options or {})
        if own := [name for name in options if name in self.get_params(deep=False) or name in SET_BY_FIT]:
            raise InputError(f"options has {own[0]!r}, which is {SET_BY_FIT.get(own[0], 'a parameter of its own')}")
        if self.random_state is not None:
            options = {"seed": self.random_state} | options
        self.classifier_ = train(
            self.model,
            train=rows,
            validation=self.validation,
            labels=names,
            max_length=self.max_length,
            preset=self.preset,
            verbose=self.verbose and is_interactive(),
            **options,
        )
        return self

    def predict(self, X: Sequence[Text]) -> NDArray[Any]:  # noqa: N803
        """Return ``[n]``: the most probable class of each text."""
        best = self.predict_proba(X).argmax(1)
        answers: NDArray[Any] = self.classes_[best]
        return answers

    def predict_proba(self, X: Sequence[Text]) -> NDArray[np.float32]:  # noqa: N803
        """Return ``[n, classes]``: probabilities in the order of ``classes_``."""
        check_is_fitted(self)
        classifier: Classifier = self.classifier_
        return classifier.predict_proba(X, self.policy)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle a fitted estimator with the files of its model: their folder is a temporary one."""
        state: dict[str, Any] = dict(super().__getstate__())
        fitted: Classifier | None = state.pop("classifier_", None)
        if fitted is not None:
            state["files_"] = {file.name: file.read_bytes() for file in list_files(fitted.bundle.folder)}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Write the files of the model into a new temporary folder, and load it."""
        files: dict[str, bytes] | None = state.pop("files_", None)
        super().__setstate__(state)
        if files is not None:
            temporary = TemporaryFolder()
            for name, content in files.items():
                (temporary.path / os.path.basename(name)).write_bytes(content)
            self.classifier_ = Classifier.load(temporary.path)
            self.classifier_.keep_alive(temporary)

    def __sklearn_tags__(self) -> Any:
        """Declare the input: texts, not numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags
