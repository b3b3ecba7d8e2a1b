"""A training that becomes NaN: reported, never the best, and nothing unusable is written."""

import json

import numpy as np
import pytest
import torch
from small import MILD, STILL, arguments, features, record_of, rows, run, small_trainer, weights_of, write_rows
from transformers import TrainerControl, TrainerState

from elbert.classifier import Classifier
from elbert.cli.main import main
from elbert.errors import InputError
from elbert.tasks import TASKS
from elbert.training import run as run_module
from elbert.training.metrics import build_metrics, is_finite, metric_names
from elbert.training.trainer import ElbertTrainer
from tiny import write_bundle

PROBLEMS = {
    "single_label_classification": (np.array([0, 1, 0, 1]), 2),
    "multi_label_classification": (np.array([[1.0, 0, 0]] * 4), 3),
    "regression": (np.array([[0.5]] * 4), 1),
}
# Plain gradient descent, so that a large rate overflows within a few steps.
DIVERGING = {"optim": "sgd", "learning_rate": 1e30, "max_grad_norm": 0, "warmup_steps": 0}


class Logits:
    def __init__(self, predictions, label_ids):
        self.predictions, self.label_ids = predictions, label_ids


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0), (3, -1, -1)], ids=["first depth", "last depth"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_no_score_counts_what_is_not_finite(problem, place, bad):
    labels, classes = PROBLEMS[problem]
    logits = np.zeros((4, 6, classes), np.float32)
    compute = build_metrics(TASKS[problem])
    finite = compute(Logits(logits, labels))
    assert is_finite(finite)
    assert set(metric_names(TASKS[problem], 6)) == {*finite, "loss"} - {"area_error", "one_class", "exit_depth"}
    logits[place] = bad
    found = compute(Logits(logits, labels))
    assert found.pop("one_class") == 0
    assert all(np.isnan(value) for value in found.values())


@pytest.mark.parametrize("name", ["eval_area", "eval_loss", "eval_depth_1"])
@pytest.mark.parametrize("is_greater", [True, False])
def test_a_checkpoint_with_nan_is_never_the_best(tmp_path, name, is_greater):
    trainer, _ = small_trainer(tmp_path, metric_for_best_model=name, greater_is_better=is_greater)
    metrics = {"eval_area": 0.5, "eval_loss": 1.0, "eval_depth_1": 0.5}
    for other in metrics:
        assert not trainer._determine_best_metric(metrics | {other: float("nan")}, None)
        assert not trainer._determine_best_metric(metrics | {other: float("inf")}, None)
    assert trainer.state.best_metric is None
    weight = trainer.model.albert.embeddings.word_embeddings.weight
    with torch.no_grad():
        weight[-1, 0] = float("nan")  # a token that the validation file does not have
    assert not trainer._determine_best_metric(metrics, None)
    with torch.no_grad():
        weight[-1, 0] = 0
    assert trainer._determine_best_metric(metrics, None)


def task_of(problem, folder):
    """Labels, and the rows of both files."""
    if problem == "single_label_classification":
        return ("negative", "positive"), rows(24)
    if problem == "regression":
        return ("value",), [(text, i / 24) for i, (text, _) in enumerate(rows(24))]
    return ("a", "b", "c"), [(text, ["a"] if i % 2 else []) for i, (text, _) in enumerate(rows(24))]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("keeps_best", [True, False])
def test_nothing_is_written_where_no_checkpoint_is_finite(tmp_path, problem, keeps_best):
    labels, found = task_of(problem, tmp_path)
    flags = DIVERGING | {"load_best_model_at_end": keeps_best}
    with pytest.raises(InputError, match=r"training diverged by step \d+: .*NaN.*; lower --learning_rate"):
        run(tmp_path, tmp_path / "out", found=found, validation=found, labels=labels, task=problem, **flags)
    assert not (tmp_path / "out" / "config.json").exists()
    assert not list((tmp_path / "out").glob("checkpoint-*"))


def test_the_best_checkpoint_before_is_written(tmp_path, monkeypatch):
    """The second epoch breaks a weight; the model of the first one is kept, and the third never begins."""

    class Breaking(ElbertTrainer):
        def training_step(self, *arguments, **options):
            loss = super().training_step(*arguments, **options)
            if self.state.global_step == 8:
                with torch.no_grad():
                    self.model.classifier.bias.fill_(float("nan"))
            return loss

    monkeypatch.setattr(run_module, "ElbertTrainer", Breaking)
    _, output = run(tmp_path, tmp_path / "out", num_train_epochs=4, learning_rate=1e-3)
    assert output.count("warning: training diverged in epoch 2, by step 12: ") == 1
    assert "NaN" in output
    assert "lower --learning_rate" in output
    assert "the best model before that is written, of step 6" in output
    assert [folder.name for folder in (tmp_path / "out").glob("checkpoint-*")] == ["checkpoint-6"]
    assert all(bool(weight.isfinite().all()) for weight in weights_of(tmp_path / "out").values())
    assert Classifier.load(tmp_path / "out").predict(["a film"])[0].label
    assert np.isfinite(record_of(tmp_path / "out")["metrics"]["eval_area"])


@pytest.mark.parametrize(("fp16", "stops"), [(False, True), (True, False)])
@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_training_at_once(tmp_path, loss, fp16, stops):
    """In fp16 single losses overflow without harm."""
    import io

    from rich.console import Console

    from elbert.training.depth_report import DepthReport

    printed, control, theirs = io.StringIO(), TrainerControl(should_save=True), arguments(tmp_path)
    theirs.fp16 = fp16
    report = DepthReport(small_trainer(tmp_path)[0].objective, Console(file=printed, width=200))
    state = TrainerState(epoch=0.4, global_step=50, max_steps=90, is_world_process_zero=True)
    report.on_log(theirs, state, control, logs={"loss": 1.0})
    assert not control.should_training_stop
    for _ in range(2):
        report.on_log(theirs, state, control, logs={"loss": loss})
    assert control.should_training_stop is stops
    assert control.should_save is not stops
    assert printed.getvalue().count("warning: training diverged in epoch 1, by step 50") == stops


def test_losses_are_logged_as_they_are(tmp_path):
    """transformers would replace a loss that is NaN by the mean of those before it."""
    assert not arguments(tmp_path).logging_nan_inf_filter


def test_the_command_ends_with_one_line_and_status_2(tmp_path, capsys):
    write_bundle(tmp_path / "start", **STILL, **MILD)
    file = write_rows(tmp_path / "rows.jsonl", rows(16))
    flags = [part for name, value in DIVERGING.items() for part in (f"--{name}", str(value))]
    command = ["train", "--model", tmp_path / "start", "--train", file, "--validation", file, "--use_cpu"]
    status = main([str(part) for part in (*command, "--output", tmp_path / "out", "--max_steps", 4, *flags)])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("elbert: error: training diverged by step ")


def test_the_record_is_json_even_where_an_exit_weight_is_nan(tmp_path):
    trainer, _ = small_trainer(tmp_path, options={"weighting": "learned"})
    with torch.no_grad():
        trainer.objective.t.fill_(float("nan"))

    class NoTokeniser:
        def save(self, folder):
            pass

    run_module.save(trainer, NoTokeniser(), tmp_path / "out", {"eval_area": 0.5}, trainer.objective, {})

    def refuse(name):
        raise AssertionError(name)

    record = json.loads((tmp_path / "out" / "training.json").read_text(), parse_constant=refuse)
    assert record["exit_weights"] == [None] * 6
    assert features(1)  # the helper of the other tests stays in use
