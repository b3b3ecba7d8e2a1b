"""A survey's figures, counted again text by text in plain Python."""

import json
from collections import Counter

import numpy as np
import pytest

from elbert import DataError
from elbert.evaluation import collect
from elbert.evaluation.cost import count_flops
from elbert.evaluation.oracles import compute_oracles
from elbert.explain import survey
from elbert.explain.survey import bin_lengths
from elbert.tasks.regression import spearman
from tiny import texts

TEXTS = [f"{text} film" for text in texts(60, seed=8)]
SPECS = ["entropy(0.7)", "window(entropy=0.2, size=2)", "full", "depth(2)"]


def labels_for(kind):
    if kind == "multi":
        return [[i % 2, i % 3 == 0, 0] for i in range(len(TEXTS))]
    return [i % (12 if kind == "many" else 2) for i in range(len(TEXTS))]


def right(kind, step_scores, label):
    if kind == "multi":
        return [int(p > 0.5) for p in step_scores] == [int(x) for x in label]
    return max(range(len(step_scores)), key=step_scores.__getitem__) == label


@pytest.mark.parametrize("kind", ["two", "many", "multi"])
@pytest.mark.parametrize("spec", SPECS)
def test_figures_are_those_of_live_predictions(classifiers, kind, spec):
    classifier, labels = classifiers[kind], labels_for(kind)
    found = survey(classifier, TEXTS, labels, spec, source="here")
    live = classifier.predict(TEXTS, spec)
    every = classifier.predict(TEXTS, "full", trace=True)
    depths = [p.depth for p in live]
    assert found.exits == tuple(depths.count(d) for d in range(1, 7))
    assert found.reasons == Counter(p.reason for p in live)
    assert found.mean_depth == pytest.approx(sum(depths) / 60)
    assert found.layer_speedup == pytest.approx(6 * 60 / sum(depths))
    at = [[right(kind, list(s.scores.values()), y) for s in p.trace] for p, y in zip(every, labels)]
    assert found.accuracy_by_depth == pytest.approx([sum(row[d] for row in at) / 60 for d in range(6)])
    there = [row[d - 1] for row, d in zip(at, depths)]
    assert found.accuracy == pytest.approx(sum(there) / 60)
    assert found.exits_right == tuple(sum(r for r, d in zip(there, depths) if d == k) for k in range(1, 7))
    overthought = [i for i, row in enumerate(at) if any(row) and not row[-1]]
    assert found.overthinking == pytest.approx(len(overthought) / 60)
    assert {each.line for each in found.overthought} <= {i + 1 for i in overthought}
    assert len(found.overthought) == min(25, len(overthought))
    assert {each.line for each in found.wrong} <= {i + 1 for i, r in enumerate(there) if not r}
    for each in (*found.wrong, *found.overthought, *found.easiest, *found.hardest):
        row = at[each.line - 1]
        assert each.text == TEXTS[each.line - 1]
        assert each.depth == depths[each.line - 1]
        assert each.right == there[each.line - 1]
        assert each.first_right == (row.index(True) + 1 if any(row) else None)


@pytest.mark.parametrize("kind", ["two", "multi"])
def test_settled_depths_easiest_and_hardest(classifiers, kind):
    classifier = classifiers[kind]
    found = survey(classifier, TEXTS, labels_for(kind), "full")
    outputs = collect(classifier, TEXTS, labels_for(kind))

    def settled(i):
        answers = [(p > 0.5).tolist() if kind == "multi" else int(p.argmax()) for p in outputs.probabilities[i]]
        return next(d for d in range(1, 7) if all(a == answers[-1] for a in answers[d - 1 :]))

    all_settled = [settled(i) for i in range(60)]
    assert found.settled == tuple(all_settled.count(d) for d in range(1, 7))
    mean = next(oracle.mean_depth for oracle in compute_oracles(outputs) if oracle.name == "earliest settled")
    assert sum(d * n for d, n in enumerate(found.settled, 1)) / 60 == pytest.approx(mean)
    assert [each.settled for each in found.easiest] == sorted(all_settled)[:25]
    assert [each.settled for each in found.hardest] == sorted(all_settled, reverse=True)[:25]
    assert not {each.line for each in found.easiest} & {each.line for each in found.hardest}
    for each in found.hardest:
        assert each.settled == all_settled[each.line - 1]
        assert len(each.path) == 6


def test_unlabelled_data_says_what_it_can(classifiers):
    found = survey(classifiers["two"], TEXTS, None, "entropy(0.7)")
    same = survey(classifiers["two"], TEXTS, labels_for("two"), "entropy(0.7)")
    assert (found.exits, found.settled, found.lengths) == (same.exits, same.settled, same.lengths)
    needs = (
        found.accuracy,
        found.accuracy_by_depth,
        found.exits_right,
        found.confusion,
        found.wrong,
        found.overthought,
    )
    assert set(needs) == {None}
    assert {each.right for each in found.easiest} == {None}
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("kind", ["two", "many"])
def test_confusion_counts_every_text_once(classifiers, kind):
    classifier, labels = classifiers[kind], labels_for(kind)
    found = survey(classifier, TEXTS, labels, "entropy(0.7)")
    every = classifier.predict(TEXTS, "full", trace=True)
    predicted = [[classifier.labels.index(max(s.scores, key=s.scores.get)) for s in p.trace] for p in every]
    left = [row[p.depth - 1] for row, p in zip(predicted, classifier.predict(TEXTS, "entropy(0.7)"))]
    assert (found.confusion.matrices is None) == (kind == "many")
    for place, answers in enumerate([*zip(*predicted), left]):
        counts = Counter(zip(labels, answers))
        wrong = {pair: n for pair, n in counts.items() if pair[0] != pair[1]}
        for pair in found.confusion.pairs[place]:
            assert wrong[classifier.labels.index(pair.truth), classifier.labels.index(pair.prediction)] == pair.count
        shown = [pair.count for pair in found.confusion.pairs[place]]
        assert shown == sorted(wrong.values(), reverse=True)[:10]
        if found.confusion.matrices is not None:
            assert found.confusion.matrices[place] == tuple(tuple(counts[t, s] for s in range(2)) for t in range(2))


def test_multi_label_confusion_is_missed_and_extra(classifiers):
    classifier, labels = classifiers["multi"], labels_for("multi")
    found = survey(classifier, TEXTS, labels, "full")
    predicted = [[int(p > 0.5) for p in x.scores.values()] for x in classifier.predict(TEXTS, "full")]
    expected = Counter()
    for answer, truth in zip(predicted, labels):
        for name, s, y in zip(classifier.labels, answer, truth):
            if s != int(y):
                expected[(name, "") if y else ("", name)] += 1
    assert {(c.truth, c.prediction): c.count for c in found.confusion.pairs[-1]} == expected


def test_computation_is_summed_over_the_texts(classifiers):
    classifier = classifiers["two"]
    config, lengths = classifier.bundle.config, [len(t.ids) for t in classifier.tokeniser.encode(TEXTS)]
    found = survey(classifier, TEXTS, None, "entropy(0.7)")
    depths = [p.depth for p in classifier.predict(TEXTS, "entropy(0.7)")]
    spent = sum(count_flops(config, n, d) for n, d in zip(lengths, depths))
    assert found.computation_saved == pytest.approx(1 - spent / sum(count_flops(config, n, 6, 1) for n in lengths))
    assert survey(classifier, TEXTS, None, "full").computation_saved == 0


def test_bins_hold_every_text_once_and_lengths_stay_together():
    rng = np.random.default_rng(0)
    lengths, exits = rng.integers(3, 40, 500), rng.integers(1, 13, 500)
    bins = bin_lengths(lengths, exits)
    assert sum(b.texts for b in bins) == 500
    assert all(a.longest < b.shortest for a, b in zip(bins, bins[1:]))
    for b in bins:
        inside = [int(d) for n, d in zip(lengths, exits) if b.shortest <= n <= b.longest]
        assert (b.texts, b.mean_depth) == (len(inside), pytest.approx(sum(inside) / len(inside)))
        assert b.low <= b.mean_depth <= b.high or len(set(inside)) > 1
    (one,) = bin_lengths(np.array([5, 5, 5]), np.array([1, 2, 6]))
    assert (one.shortest, one.longest, one.mean_depth) == (5, 5, 3)


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    a = rng.integers(0, 9, 80)
    b = a + rng.integers(0, 6, 80)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(a, np.full(80, 3)) == 0.0


def test_pairs_one_text_and_none(classifiers):
    (only,) = survey(classifiers["two"], [("a film", "a plot")], [1], "full").easiest
    assert (only.text, only.text_pair, only.line) == ("a film", "a plot", 1)
    with pytest.raises(DataError, match="here: no texts to explain"):
        survey(classifiers["two"], [], source="here")
