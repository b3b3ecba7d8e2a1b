"""Settings that follow from the model and the data, the lines that show them, and the advice at the end of a run."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from small import LABELS, arguments, record_of, rows, run, write_rows

from elbert.bundle import Bundle
from elbert.cli.main import main
from elbert.tasks import TASKS
from elbert.training.advice import advise, advise_length, find_other_rate, score_linear
from elbert.training.arguments import parse_arguments
from elbert.training.defaults import MAX_RATE, choose_batch, choose_epochs, choose_rate, fill_arguments
from elbert.training.features import load_data
from elbert.training.metrics import build_metrics
from elbert.training.options import PRESETS
from tiny import write_bundle

SINGLE = TASKS["single_label_classification"]


def test_rates_fall_with_the_width():
    rates = [choose_rate(width) for width in (128, 312, 384, 768, 1024, 2048, 4096)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == MAX_RATE
    assert choose_rate(768) == 5e-5
    assert all(1e-6 < rate <= MAX_RATE for rate in rates)


def test_fewer_rows_need_more_epochs_and_large_data_is_bounded():
    epochs = [choose_epochs(rows, 2) for rows in (1, 100, 500, 1500, 5000, 20_000, 200_000, 10**7)]
    assert epochs == sorted(epochs, reverse=True)
    assert (epochs[0], epochs[4], epochs[-2], epochs[-1]) == (20, 3, 1, 1)
    assert choose_epochs(1500, 77) > choose_epochs(1500, 6) > choose_epochs(1500, 2)
    steps = [math.ceil(n / choose_batch(n)) * choose_epochs(n, 2) for n in (500, 1500, 5000)]
    assert all(250 < count < 1000 for count in steps)


def test_only_what_is_not_set_is_chosen():
    flags = ["--learning_rate", "1e-3", "--bf16", "False"]
    theirs = parse_arguments("out", PRESETS["default"][1], flags)
    assert fill_arguments(theirs, width=384, rows=500, labels=2) == {"per_device_train_batch_size", "num_train_epochs"}
    assert (theirs.learning_rate, theirs.per_device_train_batch_size) == (1e-3, choose_batch(500))
    assert theirs.num_train_epochs == choose_epochs(500, 2)
    paper = parse_arguments("out", PRESETS["paper"][1], [])
    assert fill_arguments(paper, width=384, rows=500, labels=2) == set()
    assert (paper.learning_rate, paper.num_train_epochs, paper.bf16) == (3e-5, 3, False)


def test_fp16_replaces_the_default_precision(monkeypatch):
    monkeypatch.setattr("elbert.model.precision.is_fast", lambda *_: True)
    assert parse_arguments("out", {}, []).bf16
    assert not parse_arguments("out", {}, ["--bf16", "False"]).bf16
    assert not parse_arguments("out", {}, ["--fp16"]).bf16


def test_a_run_shows_its_settings_and_holds_out_a_tenth(tmp_path, capsys):
    run(tmp_path, tmp_path / "first", max_steps=1)  # writes the starting model
    write_rows(tmp_path / "train.jsonl", rows(60))
    command = [
        "train",
        "--model",
        tmp_path / "start",
        "--train",
        tmp_path / "train.jsonl",
        "--output",
        tmp_path / "out",
    ]
    assert main([*map(str, command), "--learning_rate", "1e-3", "--num_train_epochs", "1", "--max-length", "6"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith(f"on 10% of {tmp_path / 'train.jsonl'}\n")
    lines = {line[:15].strip(): line[16:] for line in err.splitlines()}
    assert lines["data"] == "54 rows; validation: 6"
    assert lines["training"] == "1 epochs of 4 steps, 4 in all (--num_train_epochs)"
    assert lines["learning rate"] == "0.001, linear (--learning_rate)"
    assert lines["batch"] == "16 rows (by the data; --per_device_train_batch_size)"
    assert lines["maximum length"].startswith("6 tokens; ")
    assert lines["maximum length"] != "6 tokens; 0% of the texts are cut (--max-length)"
    record = record_of(tmp_path / "out")
    assert (record["train"]["rows"], record["validation"]["rows"]) == (54, 6)
    assert record["validation"]["name"] == "10% of train.jsonl, held out"


@pytest.mark.parametrize(
    ("positions", "long", "chosen", "expected"),
    [
        (512, 0.0, None, 128),
        (512, 0.2, None, 128),
        (512, 0.25, None, 256),
        (200, 0.25, None, 200),
        (64, 0.25, None, 64),
        (512, 1.0, 32, 32),
        (512, 0.0, 300, 300),
    ],
)
def test_texts_are_cut_at_a_length_that_cuts_few(tmp_path, positions, long, chosen, expected):
    bundle = Bundle.open(write_bundle(tmp_path / "start", max_position_embeddings=positions))
    found = rows(20)
    for number in range(round(20 * long)):
        found[number] = ("good film " * 90, found[number][1])
    bad, skipped = (None, "good"), []
    tokeniser, features = load_data(
        [*found, bad], found, bundle, chosen, LABELS, SINGLE.bind(LABELS), skip_bad=skipped.append
    )
    assert tokeniser.max_length == expected
    lengths = [max(len(row["input_ids"]) for row in part) for part in features.values()]
    assert lengths[0] == lengths[1] <= expected
    assert (lengths[0] == min(expected, 182)) == (long > 0)
    assert len(skipped) == 1  # reported once, though the rows are read twice


def score_in_turn(monkeypatch, *scores):
    """Let every evaluation find the next of these scores at all depths, as 100 rows would have them."""
    found = iter([0.1, *scores])  # the first is of the rehearsal
    monkeypatch.setattr(
        "elbert.training.metrics.score_rows",
        lambda logits, *_: np.repeat(np.arange(100)[:, None] < 100 * next(found), logits.shape[1], 1),
    )


EPOCHS = {"num_train_epochs": 9, "save_strategy": "epoch"}


def test_training_ends_early(tmp_path, monkeypatch):
    score_in_turn(monkeypatch, 0.9, 0.5, 0.87, 0.5, 0.6, 0.9)  # 0.87 is as good as 0.9, of 100 rows
    _, printed = run(tmp_path, tmp_path / "out", options={"patience": 2}, **EPOCHS)
    assert "training ends early: 2 evaluations in a row were worse than the best (--patience)" in printed
    assert printed.count("epoch ") == 5
    score_in_turn(monkeypatch, 0.9, 0.5, 0.5, 0.5, 0.9)
    _, printed = run(tmp_path, tmp_path / "whole", options={"patience": 0}, **EPOCHS | {"num_train_epochs": 4})
    assert "ends early" not in printed
    assert printed.count("epoch ") == 4


@pytest.mark.parametrize(
    ("metric", "scores", "chosen"),
    [
        ("area", [0.5, 0.9, 0.88, 0.8], 3),  # the standard error of 0.88 is 0.032
        ("area", [0.5, 0.9, 0.8, 0.95], 4),
        ("area", [0.9, 0.87, 0.84, 0.81], 2),  # each is compared with the best, not with the one before
        ("eval_area", [0.5, 0.9, 0.88, 0.8], 3),
        ("accuracy", [0.5, 0.9, 0.88, 0.8], 2),
    ],
)
def test_the_latest_checkpoint_within_a_standard_error_is_written(tmp_path, monkeypatch, metric, scores, chosen):
    score_in_turn(monkeypatch, *scores, scores[chosen - 1])
    options = EPOCHS | {"num_train_epochs": 4, "metric_for_best_model": metric}
    _, printed = run(tmp_path, tmp_path / "out", options={"patience": 0}, **options)
    assert ("within a standard error" in printed) == (metric != "accuracy")
    record = record_of(tmp_path / "out")
    assert record["steps"] % 4 == 0
    assert record["best_step"] == chosen * record["steps"] // 4


def test_the_standard_error_is_that_of_the_mean_over_depths():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(40, 6, 3)), generator.integers(0, 3, 40)
    found = build_metrics(SINGLE)(SimpleNamespace(predictions=logits, label_ids=labels))
    by_row = [
        np.mean([float(row[depth].argmax() == label) for depth in range(6)]) for row, label in zip(logits, labels)
    ]
    assert found["area"] == pytest.approx(np.mean(by_row))
    assert found["area_error"] == pytest.approx(np.std(by_row) / math.sqrt(40))


# --- advice ---------------------------------------------------------------------------------------------------------

TRUTH = [0] * 70 + [1] * 30
ADVICE = {
    "near the majority": ([0.7, 0.7, 0.71, 0.7, 0.7, 0.7], 2.0, "--learning_rate 0.0008 or 0.0002"),
    "below the majority": ([0.3] * 6, 2.0, "always the most frequent label for 70.0%"),
    "within chance of it": ([0.6, 0.7, 0.7, 0.7, 0.7, 0.75], 2.0, "TF-IDF with a linear SVM can be better"),
    "flat": ([0.9, 0.9, 0.9, 0.9, 0.9, 0.902], 2.0, 'depth 1 is as good as depth 6 (90.0% and 90.2%)'),
    "deep is worse": ([0.92, 0.9, 0.9, 0.9, 0.9, 0.9], 2.0, '--policy "depth(1)"'),
    "no exits": ([0.8, 0.82, 0.85, 0.86, 0.88, 0.9], 5.9, "exit head costs more time than exits save"),
    "worse than a linear classifier": ([0.8, 0.82, 0.85, 0.86, 0.88, 0.9], 3.0, "right for 95.0% of the validation"),
    "well": ([0.8, 0.82, 0.85, 0.86, 0.88, 0.9], 3.0, None),
    "last depths are worse": ([0.6, 0.7, 0.86, 0.84, 0.82, 0.8], 4.0, "depth 3 is right for 86.0%, depth 6 for 80.0%"),
}  # fmt: skip


@pytest.mark.parametrize("case", ADVICE)
def test_advice(case):
    scores, exit_depth, expected = ADVICE[case]
    metrics = {f"eval_depth_{depth}": score for depth, score in enumerate(scores, 1)} | {"eval_exit_depth": exit_depth}
    lines = list(advise(metrics, SINGLE, TRUTH, 6, 4e-4, 0.95 if "linear" in case else 0.7))
    assert len(lines) == (expected is not None)
    assert all(line.startswith("advice: ") and expected in line for line in lines)


@pytest.mark.parametrize(
    ("task", "areas", "expected"),
    [
        (SINGLE, [0.5, 0.7, 0.75], "still rose, from 70.0% to 75.0%: train longer (--num_train_epochs 6)"),
        (SINGLE, [0.5, 0.74, 0.75], None),
        (SINGLE, [0.5, 0.75, 0.7], None),
        (SINGLE, [0.75], None),
        (TASKS["regression"], [-4.0, -2.5, -2.1], "still fell, from 2.5 to 2.1: train longer"),
        (TASKS["regression"], [-4.0, -2.5, -2.49], None),
    ],
)
def test_advice_to_train_longer(task, areas, expected):
    lines = list(advise_length([{"eval_area": area} for area in areas], task, 3.0))
    assert len(lines) == (expected is not None)
    assert all(line.startswith("advice: at the last evaluation the mean ") and expected in line for line in lines)


@pytest.mark.parametrize(
    ("flags", "scores", "is_longer"),
    [
        ({"num_train_epochs": 2}, [0.5, 0.6, 0.6], True),
        ({"num_train_epochs": 2}, [0.6, 0.5, 0.6], False),  # the last one is of the model that is written
        ({"num_train_epochs": 1}, [0.5, 0.9], False),
        ({"max_steps": 8}, [0.5, 0.6, 0.6], False),
    ],
)
def test_a_run_that_still_becomes_better(tmp_path, monkeypatch, flags, scores, is_longer):
    score_in_turn(monkeypatch, *scores)
    _, printed = run(tmp_path, tmp_path / "out", **flags)
    assert ("--num_train_epochs 4)" in printed) == is_longer


@pytest.mark.parametrize(("rate", "other"), [(1e-4, "3e-4"), (5e-5, "2e-4"), (3e-4, "1e-4"), (1e-3, "3e-4")])
def test_the_rate_to_try_next_stays_where_models_do_not_diverge(rate, other):
    assert f"{find_other_rate(rate):.1g}" == f"{float(other):.1g}"
    scores = {f"eval_depth_{depth}": 0.5 for depth in range(1, 7)}
    (line,) = advise(scores | {"eval_exit_depth": 3.0}, SINGLE, [0, 1, 2, 3] * 25, 6, rate, 0.9)
    assert f"--learning_rate {float(other):.1g}," in line


def test_the_linear_classifier():
    rows = [{"input_ids": [2, 4 + i % 2, 10 + i, 3], "labels": i % 2} for i in range(40)]
    assert score_linear(rows[:30], rows[30:], SINGLE) == 1
    assert score_linear([row | {"labels": 0} for row in rows], rows, SINGLE) is None
    assert score_linear(rows, rows, TASKS["regression"]) is None


def test_advice_of_a_run_that_learns_nothing(tmp_path):
    _, printed = run(tmp_path, tmp_path / "out", learning_rate=0, num_train_epochs=1)
    assert printed.count("advice: full depth is right for ") == 1


def test_tasks_without_a_majority_have_no_such_advice():
    metrics = {f"eval_depth_{depth}": -1.0 for depth in range(1, 7)}
    assert not list(advise(metrics, TASKS["regression"], [1.5, 2.5], 6, 1e-4))


def test_settings_of_steps(tmp_path):
    flags = {"max_steps": 3, "warmup_steps": 2}
    assert arguments(tmp_path, **flags).max_steps == 3
    _, printed = run(tmp_path, tmp_path / "out", labels=LABELS, **flags)
    assert "training        3 steps (--max_steps)" in printed
    assert "warm-up         2 steps" in printed
