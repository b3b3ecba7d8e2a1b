"""New exit heads start as a linear fit on what the encoder gives, and nothing else of the network changes."""

import numpy as np
import pytest
import torch
from small import LABELS, rows, run, same, weights_of

from elbert.bundle import Bundle
from elbert.classifier import Classifier
from elbert.evaluation import collect
from elbert.tasks import find_task
from elbert.training import starting_head
from elbert.training.options import ExitOptions
from elbert.training.starting_head import fit_classifier, standardise, start_heads
from tiny import write_bundle
from tiny_encoders import FAMILIES, write_encoder

ABC = ("a", "b", "c")
AT_ONCE = {"max_steps": 1, "learning_rate": 0}  # what is written is how training starts
HEAD = ("albert.pooler.", "classifier.")


def score(folder, found, labels):
    """The accuracy of every depth on rows."""
    outputs = collect(Classifier.load(folder), [text for text, _ in found], [labels.index(name) for _, name in found])
    return outputs.find_right().mean(0)


def with_labels(found, labels):
    return [(text, labels[LABELS.index(label)]) for text, label in found]


@pytest.mark.parametrize("options", [{}, {"pooling": "mean"}, {"exit_heads": 3}], ids=["cls", "mean", "heads"])
def test_every_depth_starts_with_what_its_states_know(tmp_path, options):
    found = with_labels(rows(48), ("bad", "good"))
    _, printed = run(
        tmp_path, tmp_path / "out", found=found, validation=found, labels=("bad", "good"), options=options, **AT_ONCE
    )
    assert "linear fit of 48 rows' labels" in printed
    assert (score(tmp_path / "out", found, ("bad", "good")) >= 0.9).all()
    before, after = weights_of(tmp_path / "start"), weights_of(tmp_path / "out")
    assert same(
        {k: v for k, v in before.items() if not k.startswith(HEAD)},
        {k: after[k] for k in before if not k.startswith(HEAD)},
    )
    some = {"found": found, "validation": found, "labels": ("bad", "good"), "options": options} | AT_ONCE
    run(tmp_path, tmp_path / "other", seed=5, **some)
    assert same(after, weights_of(tmp_path / "other"), 0.15)  # the random part of the weights is small
    assert not same(after, weights_of(tmp_path / "other"), 0.01)


def test_the_fit_is_named_before_it_is_computed(tmp_path, monkeypatch):
    fitted = []
    monkeypatch.setattr(starting_head, "fit_heads", lambda *arguments: fitted.append(arguments))
    bundle, task = Bundle.open(write_bundle(tmp_path / "start")), find_task("single_label_classification").bind(ABC)
    lines = start_heads(None, True, bundle, ABC, [{"input_ids": [2, 3]}] * 9, None, task, ExitOptions())
    assert ["new" in next(lines), "linear fit of 9 rows' labels" in next(lines), fitted] == [True, True, []]
    assert next(lines, None) is None
    assert len(fitted) == 1


def test_a_head_is_new_where_its_labels_are_others_or_in_another_order(tmp_path):
    turned = LABELS[::-1]
    run(tmp_path, tmp_path / "turned", labels=turned, validation=rows(48), **AT_ONCE)
    assert (score(tmp_path / "turned", rows(48), turned) >= 0.9).all()
    run(tmp_path, tmp_path / "kept", **AT_ONCE)
    assert same(weights_of(tmp_path / "start"), weights_of(tmp_path / "kept"))


def test_a_random_start_is_kept(tmp_path):
    found = [(text, ABC[i % 3]) for i, (text, _) in enumerate(rows(48))]
    some = {"found": found, "validation": found, "labels": ABC, "options": {"head_start": "random"}} | AT_ONCE
    _, printed = run(tmp_path, tmp_path / "out", **some)
    assert "linear fit" not in printed
    before, after = weights_of(tmp_path / "start"), weights_of(tmp_path / "out")
    assert torch.equal(before["albert.pooler.weight"], after["albert.pooler.weight"])
    assert float(after["classifier.weight"].std()) < 0.3


def test_several_labels_and_values_start_fitted(tmp_path):
    marks = [(text, [ABC[i % 2]] + ["c"] * (i % 2)) for i, (text, _) in enumerate(rows(48))]
    run(
        tmp_path,
        tmp_path / "marks",
        found=marks,
        validation=marks,
        labels=ABC,
        task="multi_label_classification",
        **AT_ONCE,
    )
    truth = [[int(name in names) for name in ABC] for _, names in marks]
    outputs = collect(Classifier.load(tmp_path / "marks"), [text for text, _ in marks], truth)
    assert outputs.find_right().mean() > 0.8  # 0.5 without what the texts say
    values = [(text, 101.5 if label == "positive" else 99.5) for text, label in rows(24)]
    run(tmp_path, tmp_path / "values", found=values, validation=values, labels=["value"], task="regression", **AT_ONCE)
    for spec in ("depth(1)", "full"):
        scores = [p.score for p in Classifier.load(tmp_path / "values").predict([text for text, _ in values], spec)]
        assert np.corrcoef(scores, [value for _, value in values])[0, 1] > 0.8
        assert np.mean(scores) == pytest.approx(100.5, abs=0.3)


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_of_other_families(tmp_path, family):
    write_encoder(tmp_path / "start", family)
    found = with_labels(rows(48), ABC[:2])
    some = {"found": found, "validation": found, "labels": ABC[:2]} | AT_ONCE
    run(tmp_path, tmp_path / "out", **some)
    run(tmp_path, tmp_path / "random", **some, options={"head_start": "random"})
    fitted, random = (score(tmp_path / name, found, ABC[:2]).mean() for name in ("out", "random"))
    assert fitted > 0.6  # one map for six random layers
    assert fitted > random + 0.1


def test_labels_that_no_state_knows_leave_a_small_head():
    """Random labels: the map is held back as far as possible, so that training does not start from noise."""
    from elbert.tasks import TASKS

    torch.manual_seed(0)
    classifier = torch.nn.Linear(32, 2)
    fit_classifier(
        classifier, torch.randn(3, 60, 32).tanh(), torch.arange(60) % 2, TASKS["single_label_classification"]
    )
    assert float(classifier.weight.detach().norm()) < 0.5


def test_states_that_are_the_same_for_all_rows_stay_so():
    pooler = torch.nn.Linear(4, 4)
    with torch.no_grad():
        standardise(pooler, torch.tensor([[[1.0, 5.0, 0.0, 2.0], [3.0, 5.0, 0.0, 2.0]]]), 0.0)
        read = pooler(torch.tensor([[1.0, 5.0, 0.0, 2.0], [3.0, 5.0, 0.0, 2.0]]))
    assert read[:, 0].tolist() == pytest.approx([-0.5, 0.5])
    assert read[:, 1:].abs().max() < 1e-3
