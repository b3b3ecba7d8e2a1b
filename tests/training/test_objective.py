"""The objective, against its formulas written out, and the scores that pick a checkpoint."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from elbert.errors import InputError
from elbert.tasks import TASKS
from elbert.training.metrics import build_metrics
from elbert.training.objective import ExitObjective
from elbert.training.options import PRESETS, ExitOptions

SINGLE = "single_label_classification"
PROBLEMS = {
    SINGLE: torch.tensor([0, 2, 1, 1]),
    "multi_label_classification": torch.tensor([[0.0, 1, 1], [0, 0, 0], [1, 1, 1], [1, 0, 0]]),
    "regression": torch.tensor([[0.0, 1, 1], [0.5, 0, -2], [1, 3, 1], [1, 0, 0]]),
}


def objective(depths=5, problem=SINGLE, smoothing=0.0, **options):
    return ExitObjective(depths, TASKS[problem], ExitOptions(**options), smoothing)


def logits(depths=5, rows=4, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(depths, rows, classes, generator=generator).requires_grad_()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@settings(max_examples=50, deadline=None)
@given(t=st.lists(st.floats(-30, 30), max_size=11), floor=st.floats(0, 1))
def test_learned_weights_follow_the_formula_and_sum_to_the_depths(t, floor):
    learned = objective(len(t) + 1, weighting="learned", weight_floor=floor)
    with torch.no_grad():
        learned.t.copy_(torch.tensor(t))
    weights = learned.weights()
    earlier = floor + (1 - floor) * sigmoid(np.array(t))
    assert weights.tolist() == pytest.approx([*earlier, len(t) + 1 - earlier.sum()], abs=1e-5)
    assert weights.sum().item() == pytest.approx(len(t) + 1, rel=1e-6)
    assert weights.min() >= floor - 1e-6
    assert weights[-1] >= 1 - 1e-5


def test_learned_weights_begin_as_the_paper_has_it():
    learned = objective(24, weighting="learned", weight_floor=0.0)
    assert [p.shape for p in learned.parameters()] == [(23,)]
    assert learned.t.tolist() == [4.0] * 23
    assert learned.weights()[:-1].tolist() == pytest.approx([0.98201] * 23, abs=1e-5)


def test_other_weights():
    assert objective(weighting="equal").weights().tolist() == [1] * 5
    assert objective(weighting="linear").weights().tolist() == pytest.approx([m / 3 for m in range(1, 6)])
    assert objective(weighting="last-heavy").weights().tolist() == pytest.approx([5 / 6] * 4 + [5 / 3])
    halves = objective(weighting="last-heavy", last_share=0.5).weights()
    assert halves.tolist() == pytest.approx([5 / 8] * 4 + [5 / 2])
    assert objective(weighting="last-heavy", last_share=1.0).weights().tolist() == [0, 0, 0, 0, 5]  # plain ALBERT
    for weighting in ("equal", "linear", "last-heavy"):
        assert not list(objective(weighting=weighting).parameters())
        assert not objective(weighting=weighting).state_dict()


@pytest.mark.parametrize("weighting", ["learned", "equal", "linear", "last-heavy"])
def test_one_depth_has_all_the_weight(weighting):
    alone = objective(1, weighting=weighting, distillation=0.5)
    assert alone.weights().tolist() == [1]
    z = logits(1)
    assert alone(z, PROBLEMS[SINGLE]).item() == pytest.approx(functional.cross_entropy(z[0], PROBLEMS[SINGLE]).item())


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("weighting", ["learned", "equal", "linear", "last-heavy"])
def test_the_loss_is_the_weighted_sum(problem, weighting):
    made, z, labels = objective(problem=problem, weighting=weighting), logits(), PROBLEMS[problem]
    if weighting == "learned":
        with torch.no_grad():
            made.t.copy_(torch.tensor([-2.0, 0, 1, 3]))
    one = {
        SINGLE: functional.cross_entropy,
        "multi_label_classification": functional.binary_cross_entropy_with_logits,
        "regression": functional.mse_loss,
    }[problem]
    expected = sum(w * one(z[m], labels) for m, w in enumerate(made.weights().tolist()))
    assert made(z, labels).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_the_gradient_of_t_is_the_difference_to_the_last_depth(floor):
    made, z, labels = objective(weighting="learned", weight_floor=floor), logits(), PROBLEMS[SINGLE]
    with torch.no_grad():
        made.t.copy_(torch.tensor([-2.0, 0, 1, 3]))
    made(z, labels).backward()
    losses = [functional.cross_entropy(z[m], labels).item() for m in range(5)]
    s = sigmoid(np.array([-2.0, 0, 1, 3]))
    expected = (1 - floor) * s * (1 - s) * (np.array(losses[:-1]) - losses[-1])
    assert made.t.grad.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert np.abs(expected).min() > 1e-3


def taught_by_hand(z, problem, temperature):
    """How far each earlier depth is from the last, written out."""
    earlier, last = z[:-1].detach().double().numpy(), z[-1].detach().double().numpy()
    if problem == "regression":
        return ((earlier - last) ** 2).mean((1, 2))
    if problem == "multi_label_classification":
        p, q = sigmoid(last / temperature), sigmoid(earlier / temperature)
        return -(p * np.log(q) + (1 - p) * np.log(1 - q)).mean((1, 2)) * temperature**2
    p, q = np.exp(last / temperature), np.exp(earlier / temperature)
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    return -(p * np.log(q)).sum(-1).mean(1) * temperature**2


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(("share", "temperature"), [(0.3, 1.0), (0.7, 2.5), (1.0, 1.0)])
def test_distillation_follows_the_formula(problem, share, temperature):
    made = objective(problem=problem, weighting="linear", distillation=share, temperature=temperature)
    z, labels = logits(), PROBLEMS[problem]
    hard = TASKS[problem].losses(z, labels).detach().double().numpy()
    taught = taught_by_hand(z, problem, temperature)
    mixed = [*((1 - share) * hard[:-1] + share * taught), hard[-1]]
    expected = sum((m / 3) * loss for m, loss in enumerate(mixed, 1))
    assert made(z, labels).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_last_depth_is_not_moved_by_teaching(problem):
    z, labels = logits(), PROBLEMS[problem]
    objective(problem=problem, weighting="equal", distillation=1.0)(z, labels).backward()
    (alone,) = torch.autograd.grad(TASKS[problem].losses(z[-1:], labels).sum(), z)
    assert torch.allclose(z.grad[-1], alone[-1], atol=1e-7)
    assert (z.grad[:-1].abs().amax((1, 2)) > 1e-3).all()


def test_teaching_pulls_towards_the_last_depth():
    """With nothing but teaching, an earlier depth that agrees with the last has no gradient left."""
    z = logits()
    with torch.no_grad():
        z[1] = z[-1]
    objective(weighting="equal", distillation=1.0)(z, PROBLEMS[SINGLE]).backward()
    assert z.grad[1].abs().max() < 1e-6


def test_label_smoothing_is_torchs():
    z, labels = logits(), PROBLEMS[SINGLE]
    expected = sum(functional.cross_entropy(z[m], labels, label_smoothing=0.2) for m in range(5))
    assert objective(smoothing=0.2)(z, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_half_precision_logits_are_summed_in_float32():
    z, labels = logits().detach().bfloat16(), PROBLEMS[SINGLE]
    loss = objective(weighting="learned")(z, labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(objective(weighting="learned")(z.float(), labels).item(), rel=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weighting": "square"}, "weighting is 'square', expected one of learned, equal, linear, last-heavy"),
        ({"weight_schedule": "cosine"}, "expected one of constant, same"),
        ({"pooling": "max"}, "expected one of cls, mean"),
        ({"weight_floor": 1.1}, "weight_floor is 1.1, expected a number from 0 to 1"),
        ({"weight_floor": float("nan")}, "weight_floor is nan"),
        ({"distillation": -0.1}, "distillation is -0.1"),
        ({"weight_rate": 0}, "weight_rate is 0, expected a number above 0"),
        ({"weight_rate": float("inf")}, "weight_rate is inf"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"exit_heads": 0}, "exit_heads is 0"),
    ],
)
def test_options_are_checked(wrong, message):
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        ExitOptions(**wrong)


def test_the_paper_preset_is_what_the_paper_says():
    exits, trainer = PRESETS["paper"]
    made = ExitOptions(**exits)
    assert (made.weighting, made.weight_floor, made.weight_rate, made.weight_schedule) == (
        "learned",
        0,
        0.01,
        "constant",
    )
    assert (made.distillation, made.pooling, made.exit_heads) == (0, "cls", 1)
    expected = {"learning_rate": 3e-5, "per_device_train_batch_size": 32, "num_train_epochs": 3, "max_grad_norm": 1}
    assert expected | {"weight_decay": 0, "warmup_steps": 0} | trainer == trainer


def measured(logits, labels, problem=SINGLE):
    return build_metrics(TASKS[problem])(
        SimpleNamespace(predictions=np.array(logits, float), label_ids=np.array(labels))
    )


def test_area_and_last_depth_can_disagree():
    right, wrong = [0, 1], [1, 0]
    early = measured([[right, right, wrong], [right, right, right]], [1, 1])
    late = measured([[wrong, right, right], [wrong, wrong, right]], [1, 1])
    by_depth = {"depth_1": 1, "depth_2": 1, "depth_3": 0.5}
    area = {"area": 2.5 / 3, "area_error": pytest.approx(1 / 6 / 2**0.5)}
    assert early == by_depth | area | {"accuracy": 0.5, "one_class": 0, "exit_depth": 3}
    assert late["accuracy"] > early["accuracy"]
    assert late["area"] < early["area"]


def test_scores_of_several_labels_and_of_values():
    several = measured([[[1, -1], [1, 1]], [[-1, -1], [-1, 1]]], [[1.0, 0.0], [0.0, 0.0]], "multi_label_classification")
    area = {"area": 0.75, "area_error": 0}
    assert several == area | {"depth_1": 1, "depth_2": 0.5, "accuracy": 0.5, "one_class": 0, "exit_depth": 2}
    values = measured([[[1], [2]], [[3], [1]]], [1.0, 1.0], "regression")
    area = {"area": -1.25, "area_error": pytest.approx(0.75 / 2**0.5)}
    assert values == area | {"depth_1": -2, "depth_2": -0.5, "minus_mse": -0.5, "one_class": 0}


def test_a_collapse_is_one_answer_where_labels_differ():
    a, b = [1, 0], [0, 1]
    assert measured([[a, a], [a, a]], [0, 1])["one_class"] == 1
    assert measured([[a, a], [a, b]], [0, 1])["one_class"] == 0
    assert measured([[a, a], [a, a]], [0, 0])["one_class"] == 0  # right, rather than collapsed
    assert measured([[a, a]], [0])["one_class"] == 0
