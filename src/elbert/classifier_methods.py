"""The classifier's methods that evaluate, calibrate, compare, explain and publish: each calls the package of that name.

Like ``elbert`` itself, this file is the public face of higher layers, and imports them only when a method is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from elbert._display import plural
from elbert._settings import check_whole
from elbert.errors import DataError, InputError

if TYPE_CHECKING:
    from elbert.bundle import OperatingPoint
    from elbert.classifier import Classifier
    from elbert.comparison import Comparison
    from elbert.evaluation import Report
    from elbert.exits import Policy
    from elbert.explain import Explanation
    from elbert.inference import Windows
    from elbert.prediction import RankedText
    from elbert.tokenization.tokens import Text


class ClassifierMethods:
    """What a classifier offers beyond predictions."""

    def evaluate(
        self,
        data: Any,
        labels: Sequence[object] | None = None,
        *,
        policies: Sequence[str | Policy] | None = None,
        **columns: str,
    ) -> Report:
        """Return the accuracy of every depth and of some policies on labelled data, with their mean depths.

        ``data`` is a file, a table, a dict of columns or rows, as for :func:`elbert.train`; or texts, with their
        ``labels``. ``text_column``, ``text_pair_column``, ``label_column`` and ``delimiter`` are those of
        :func:`elbert.train`. ``policies`` are specs or operating points; the default are the model's points and some
        common policies. ``report.by_depth[k - 1]`` has the metrics of depth k, ``report.policies`` those of each
        policy.

        Raises:
            DataError: the data cannot be used, or has no labels.
            InputError: a text or label cannot be used.
            PolicyError: a policy cannot be read.
            MissingExtra: the extra ``train`` is not installed.
        """
        from elbert._optional import require
        from elbert.data import Columns
        from elbert.evaluation import evaluate
        from elbert.evaluation.labelled_data import collect_examples, read_data, warn_seen

        require("sklearn", "train")
        classifier = cast("Classifier", self)
        chosen = choose_policies(classifier, policies)
        used = Columns.from_options(columns)
        examples, targets = read_data(classifier, data, labels, columns=used, needs_labels=True)
        if targets is None:
            raise DataError("the data has no labels; expected a column label, or labels beside the texts")
        warn_seen(classifier, examples)
        return evaluate(collect_examples(classifier, examples, targets)[1], chosen)

    def calibrate(
        self,
        data: Any,
        labels: Sequence[object] | None = None,
        *,
        name: str,
        speedup: float | None = None,
        max_drop: float | None = None,
        risk: float | None = None,
        error: float = 0.05,
        loss: str | None = None,
        tolerance: float | None = None,
        families: Sequence[str] | None = None,
        policies: Sequence[str | Policy] | None = None,
        temperature: bool = False,
        tuning: Any = None,
        tuning_share: float = 0.5,
        also_dtypes: Sequence[str] = (),
        long: str | Windows | None = None,
        default: bool = False,
        output: str | Path | None = None,
        **columns: str,
    ) -> OperatingPoint:
        """Choose an operating point for a goal, measure it, store it in the model folder, and return it.

        The goal is one of ``speedup`` (the most accurate policy with at least this layer speed-up), ``max_drop`` (the
        fastest policy that loses at most so many points of accuracy) and ``risk`` (the fastest policy whose risk is
        certified, with probability 1 - ``error``, to be at most this; ``loss`` is ``harmful-flip`` or, for data
        without labels, ``inconsistency``; of a regression ``inconsistency``, a value more than ``tolerance`` from
        that of full depth). A part of ``data``, or ``tuning``, chooses the policy; the rest measures
        it. Use data that served neither for training nor for the choice of a checkpoint.

        With ``long="windows"``, texts that are longer than the model are read in windows, as by
        :meth:`Classifier.predict`: the policy is that of the windows, and a loss is measured against the answer from
        all windows at full depth. The point then holds for that ``long`` only.

        ``data`` and its ``columns`` are as for :meth:`evaluate`. The other arguments are those of ``elbert calibrate``.
        The point is written
        to the ``exits.json`` of the classifier's folder, and this classifier knows it at once; with ``output`` it is
        written to a copy of the model there, as it must be for the bundled model and models of the hub.

        Raises:
            InputError: the goal cannot be met, an argument is not valid, or there are too few texts.
            DataError: the data cannot be used.
            PolicyError: a policy cannot be read.
            MissingExtra: the extra ``train`` is not installed.
        """
        from elbert._optional import require
        from elbert.bundle import check_point_name
        from elbert.bundle.publishing import check_new_folder, is_shared
        from elbert.calibration import (
            DataPart,
            calibrate,
            check_seen,
            hash_data,
            make_goal,
            make_parts,
            resolve_windows,
            store_point,
        )
        from elbert.data import Columns
        from elbert.evaluation.labelled_data import read_data
        from elbert.evaluation.sweep import build_families

        require("scipy", "train")
        classifier = cast("Classifier", self)
        check_point_name(name)
        windows = resolve_windows(classifier, long)
        build_families(classifier.depths, families, classifier.bundle.config.task.content)
        fixed = None if policies is None else [classifier.resolve_policy(policy) for policy in policies]
        folder = classifier.bundle.folder if output is None else Path(output)
        if output is not None:
            check_new_folder(folder)
        elif is_shared(folder):
            raise InputError("this model is not in a folder of yours: output= makes a copy to write to")
        used = Columns.from_options(columns)
        whole = DataPart(*read_data(classifier, data, labels, columns=used))
        chosen_on = None if tuning is None else DataPart(*read_data(classifier, tuning, source="tuning", columns=used))
        parts = make_parts(whole, chosen_on, tuning_share, is_order_fixed=fixed is not None and risk is not None)
        goal = make_goal(
            speedup=speedup,
            max_drop=max_drop,
            risk=risk,
            error=error,
            loss=loss,
            tolerance=tolerance,
            labelled=parts.has_labels,
            depths=classifier.depths,
            task=classifier.bundle.config.task,
        )
        parts.check_enough(goal)
        data_hash, contents = hash_data(data, whole), [example.content() for example in parts.measured.examples]
        seen = check_seen(classifier, contents, data_hash, certifies=risk is not None)
        tuned, measured = parts.collect_outputs(load_precisions(classifier, also_dtypes), windows=windows)
        point = calibrate(
            goal,
            tuned,
            measured,
            family_names=families,
            policies=fixed,
            temperature=temperature,
            labelled=parts.has_labels,
        )
        point = store_point(
            point,
            name,
            classifier,
            data=data_hash,
            dtypes=tuple(measured),
            folder=folder,
            seen=seen,
            default=default,
            windows=windows,
        )
        if output is None:
            bundle = classifier.bundle
            classifier.bundle = replace(
                bundle, points={**bundle.points, name: point}, default=name if default else bundle.default
            )
            classifier.policy = point.policy if default else classifier.policy
        return point

    def compare(
        self,
        data: Any,
        labels: Sequence[object] | None = None,
        *,
        tuning: Any = None,
        families: Sequence[str] | None = None,
        output: str | Path | None = None,
        **columns: str,
    ) -> Comparison:
        """Compare thousands of policies on labelled data; with ``output``, write the report and its tables there.

        ``data`` and its ``columns`` are as for :meth:`evaluate`; ``tuning`` is data of the same kind to choose dials
        on. Comparisons at
        equal cost choose the dials on other texts than those that measure them.

        Raises:
            DataError: the data cannot be used, or has no labels.
            InputError: there are too few texts, or an argument is not valid.
            MissingExtra: the extra ``train``, or with ``output`` the extra ``plots``, is not installed.
        """
        from elbert._optional import require
        from elbert.comparison import compare
        from elbert.comparison.report_files import describe_run, write_report
        from elbert.data import Columns
        from elbert.evaluation import Outputs
        from elbert.evaluation.labelled_data import collect_examples, read_data, warn_seen
        from elbert.evaluation.sweep import build_families

        require("sklearn", "train")
        if output is not None:
            require("matplotlib", "plots")
        classifier = cast("Classifier", self)
        build_families(classifier.depths, families, classifier.bundle.config.task.content)

        used = Columns.from_options(columns)

        def collect_labelled(data: Any, labels: Sequence[object] | None, source: str) -> Outputs:
            examples, targets = read_data(classifier, data, labels, source=source, columns=used, needs_labels=True)
            if targets is None:
                raise DataError(f"{source} has no labels; expected a column label, or labels beside the texts")
            warn_seen(classifier, examples)
            return collect_examples(classifier, examples, targets)[1]

        choose = None if tuning is None else collect_labelled(tuning, None, "tuning")
        outputs = collect_labelled(data, labels, "data")
        comparison = compare(outputs, classifier.policy, choose=choose, named=families)
        if output is not None:
            name = Path(data).name if isinstance(data, str | Path) else f"{plural(len(outputs), 'text')}"
            about = describe_run(classifier.bundle.folder.name, name, "Classifier.compare")
            write_report(comparison, classifier.bundle.config, about, Path(output))
        return comparison

    def rank(
        self,
        query: str,
        texts: Iterable[str],
        top_k: int | None = None,
        policy: str | Policy | None = None,
        *,
        raw_scores: bool | None = None,
    ) -> list[RankedText]:
        """Return texts by their score for a query, the highest first; ``top_k``: only so many.

        The model has one output for a pair of texts: a cross-encoder, of sentence-transformers too, or a regression.
        Scores are those that sentence-transformers' CrossEncoder gives: a sigmoid, or what the folder names;
        ``raw_scores`` decides otherwise. A policy can end texts that are out of reach of the highest ones:
        ``outranked(top=5)``.

        Raises:
            InputError: the model has several outputs, the query or a text is no string, or there are no texts.
            PolicyError: the policy cannot be used.
        """
        return next(self.rank_each([(query, texts)], top_k, policy, raw_scores=raw_scores))

    def rank_each(
        self,
        lists: Iterable[tuple[str, Iterable[str]]],
        top_k: int | None = None,
        policy: str | Policy | None = None,
        *,
        raw_scores: bool | None = None,
    ) -> Iterator[list[RankedText]]:
        """Yield the ranking of each list ``(query, texts)``, as :meth:`rank` returns it; lists share layer calls.

        Raises:
            InputError, PolicyError: as for :meth:`rank`.
        """
        from elbert.ranking import rank_lists

        found = rank_lists(cast("Classifier", self), lists, policy, top_k=top_k, raw_scores=raw_scores)
        return raise_list_errors(found)

    def calibrate_ranking(
        self,
        lists: Iterable[tuple[str, Sequence[str]]],
        *,
        name: str,
        top_k: int,
        risk: float | None = None,
        error: float = 0.05,
        speedup: float | None = None,
        tuning: Iterable[tuple[str, Sequence[str]]] | None = None,
        tuning_share: float = 0.5,
        output: str | Path | None = None,
    ) -> OperatingPoint:
        """Choose a policy over lists ``(query, texts)``, measure it, store it in the model folder, and return it.

        The goal is ``risk``: the fastest policy whose share of lists with other ``top_k`` highest texts than at full
        depth, or in another order, is certified, with probability 1 - ``error``, to be at most this. Or it is
        ``speedup``: the policy that changes the fewest lists with at least this layer speed-up. A part of ``lists``, or
        ``tuning``, chooses the policy; the rest measures it. No labels are needed. ``output`` is as for
        :meth:`calibrate`.

        Raises:
            InputError: the goal cannot be met, or a list cannot be used.
            MissingExtra: the extra ``train`` is not installed.
        """
        from elbert._optional import require
        from elbert.bundle import check_point_name
        from elbert.bundle.publishing import check_new_folder, is_shared
        from elbert.calibration import calibrate_ranking, check_seen, hash_lists, split_lists, store_point
        from elbert.ranking.ranking_outputs import collect_rankings

        require("scipy", "train")
        classifier = cast("Classifier", self)
        check_point_name(name)
        check_whole("top_k", top_k)
        folder = classifier.bundle.folder if output is None else Path(output)
        if output is not None:
            check_new_folder(folder)
        elif is_shared(folder):
            raise InputError("this model is not in a folder of yours: output= makes a copy to write to")
        whole = [(query, list(texts)) for query, texts in lists]
        data_hash, contents = hash_lists(whole), [(query, text) for query, texts in whole for text in texts]
        seen = check_seen(classifier, contents, data_hash, certifies=risk is not None)
        measured = collect_rankings(classifier, whole)
        if tuning is None:
            chosen_on, measured = split_lists(measured, tuning_share)
        else:
            chosen_on = collect_rankings(classifier, list(tuning))
        point = calibrate_ranking(chosen_on, measured, top=top_k, risk=risk, error=error, speedup=speedup)
        dtypes = (classifier.dtype,)
        point = store_point(point, name, classifier, data=data_hash, dtypes=dtypes, folder=folder, seen=seen)
        if output is None:
            classifier.bundle = replace(classifier.bundle, points={**classifier.bundle.points, name: point})
        return point

    def explain(
        self,
        text: Text,
        policy: str | Policy | None = None,
        label: str | int | Sequence[str | int] | None = None,
        *,
        attention: bool = True,
    ) -> Explanation:
        """Explain why a text, or a pair ``(text, text_pair)``, exits at its depth; notebooks show it as a figure.

        ``label`` is the true label. ``attention`` needs the extra ``train``.

        Raises:
            InputError: the model has no exits or no such label, or the text is empty.
            PolicyError: the policy cannot be read.
            MissingExtra: the extra ``train`` is not installed.
        """
        from elbert.explain import explain

        return explain(cast("Classifier", self), text, policy, label, attention=attention, rounds=0)

    def save(self, folder: str | Path) -> Path:
        """Copy the model with its operating points and its model card into a new folder; return its path.

        Raises:
            InputError: the folder exists and is not empty, or cannot be written.
        """
        from elbert.bundle.model_card import write_card
        from elbert.bundle.publishing import copy_model

        target = Path(folder).expanduser()
        copy_model(cast("Classifier", self).bundle.folder, target)
        write_card(target)
        return target

    def push_to_hub(
        self, repository: str, *, private: bool | None = None, token: str | None = None, message: str = "Upload a model"
    ) -> str:
        """Upload the model with its operating points and its model card to the Hugging Face hub; return its address.

        Raises:
            InputError: the hub cannot be reached, or rejects the name or the login.
        """
        from elbert.bundle.model_card import write_card
        from elbert.bundle.publishing import is_shared, open_repository, push_folder

        folder = cast("Classifier", self).bundle.folder
        name = open_repository(repository, private=private, token=token)
        if not is_shared(folder):
            write_card(folder)
        return push_folder(folder, name, token=token, message=message)


def raise_list_errors(rankings: Iterator[list[RankedText] | Exception]) -> Iterator[list[RankedText]]:
    """Yield the rankings before the first error, and raise it."""
    for ranking in rankings:
        if isinstance(ranking, Exception):
            raise ranking
        yield ranking


def choose_policies(classifier: Classifier, policies: Sequence[str | Policy] | None) -> dict[str, Policy]:
    """Return policies by name or spec, checked against the model; without ``policies``, the model's points and common
    ones, of which some may be for more depths."""
    from elbert.exits import policy
    from elbert.exits.policies import COMMON_SPECS

    if isinstance(policies, str):
        raise InputError(f"policies are {policies!r:.60}, expected a list of specs or names")
    named = classifier.bundle.text_points if policies is None else policies
    common = COMMON_SPECS[classifier.bundle.config.task.content] if policies is None else ()
    return {str(one): classifier.resolve_policy(one) for one in named} | {spec: policy(spec) for spec in common}


def load_precisions(classifier: Classifier, dtypes: Sequence[str]) -> Mapping[str, Classifier]:
    """Return the classifier, and the same model in other precisions, by precision."""
    from elbert.classifier import Classifier

    others = {
        dtype: Classifier.load(
            classifier.bundle.folder,
            dtype=dtype,  # type: ignore[arg-type]  # an unknown one is an error there
            device=str(classifier.backend.device),
            threads=classifier.threads,
        )
        for dtype in dtypes
        if dtype != classifier.dtype
    }
    return {classifier.dtype: classifier, **others}
