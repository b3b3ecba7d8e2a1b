"""The trainer: the learned weights are trained, clocked, cleared and averaged as parameters should be."""

import pytest
import torch
from small import features, small_trainer
from torch.nn import functional

from elbert.errors import InputError
from elbert.training.options import ExitOptions
from tiny import tiny_model

LEARNED = {"weighting": "learned", "weight_floor": 0.0}


def differences(trainer):
    """Collect, per forward pass, how much worse each earlier depth is than the last."""
    found = []

    def remember(_, inputs, __):
        exit_logits, labels = inputs
        losses = torch.stack([functional.cross_entropy(z.detach(), labels) for z in exit_logits])
        found.append(losses[:-1] - losses[-1])

    trainer.objective.register_forward_hook(remember)
    return found


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_gradient_of_t_is_of_this_step_alone(tmp_path, accumulation):
    trainer, watch = small_trainer(
        tmp_path,
        options=LEARNED,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=1,
    )
    worse = differences(trainer)
    trainer.train()
    assert len(watch.gradients) == 8 / accumulation
    for step, (gradient, t) in enumerate(zip(watch.gradients, watch.values, strict=True)):
        mean = torch.stack(worse[step * accumulation : (step + 1) * accumulation]).mean(0)
        s = t.sigmoid()
        assert torch.allclose(gradient, s * (1 - s) * mean, rtol=1e-3, atol=1e-7)


def test_t_moves_and_is_no_part_of_the_model(tmp_path):
    trainer, watch = small_trainer(tmp_path, options=LEARNED | {"weight_rate": 0.1}, num_train_epochs=1)
    trainer.train()
    t = trainer.objective.t
    assert (t != 4).all()
    # Adam's first step is its rate, against the sign of the gradient.
    moved = watch.values[1] - watch.values[0]
    assert moved.tolist() == pytest.approx((-0.1 * watch.gradients[0].sign()).tolist(), abs=1e-3)
    assert trainer.objective.weights().sum().item() == pytest.approx(6)
    assert not any(p is t for p in trainer.model.parameters())
    assert set(trainer.model.state_dict()) == set(tiny_model().state_dict())


def test_t_has_a_group_of_its_own(tmp_path):
    trainer, _ = small_trainer(tmp_path, options=LEARNED | {"weight_rate": 0.05}, weight_decay=0.1)
    optimizer = trainer.create_optimizer()
    assert trainer.create_optimizer() is optimizer
    *network, own = optimizer.param_groups
    assert own["params"] == [trainer.objective.t]
    assert (own["lr"], own["weight_decay"]) == (0.05, 0)
    assert {group["lr"] for group in network} == {2e-3}
    assert sum(len(group["params"]) for group in network) == len(list(trainer.model.parameters()))


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant_with_warmup", "polynomial"])
def test_t_keeps_its_rate_while_the_networks_changes(tmp_path, kind):
    trainer, watch = small_trainer(
        tmp_path, options=LEARNED | {"weight_rate": 0.05}, warmup_steps=2, lr_scheduler_type=kind
    )
    trainer.train()
    own, network = [rates[-1] for rates in watch.rates], [rates[0] for rates in watch.rates]
    assert own == [0.05] * 8
    assert network[:3] == [0, 1e-3, 2e-3]
    assert kind == "constant_with_warmup" or network[-1] < 1e-3


def test_t_may_follow_the_networks_schedule(tmp_path):
    trainer, watch = small_trainer(
        tmp_path, options=LEARNED | {"weight_rate": 0.05, "weight_schedule": "same"}, warmup_steps=2
    )
    trainer.train()
    for rates in watch.rates:
        assert rates[-1] == pytest.approx(rates[0] * 25)
    assert watch.rates[-1][-1] < 0.02


def test_a_schedule_that_cannot_leave_t_out_is_refused(tmp_path):
    changes = {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "epoch", "save_strategy": "epoch"}
    trainer, _ = small_trainer(tmp_path, options=LEARNED, **changes)
    with pytest.raises(InputError, match=r"lr_scheduler_type reduce_lr_on_plateau .*weight_schedule 'same'"):
        trainer.train()
    trainer, _ = small_trainer(tmp_path, options=LEARNED | {"weight_schedule": "same"}, **changes)
    trainer.train()


@pytest.mark.parametrize("options", [{}, LEARNED, {"weighting": "linear", "distillation": 0.5}])
def test_accumulated_batches_equal_a_large_one(tmp_path, options):
    found = []
    for size, accumulation in ((8, 1), (4, 2)):
        trainer, _ = small_trainer(
            tmp_path,
            options=options | {"weight_rate": 0.5},
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            optim="sgd",  # Adam makes full steps of rounding noise where a gradient is zero
            learning_rate=0.05,
        )
        trainer.train()
        found.append({**trainer.model.state_dict(), **trainer.objective.state_dict()})
    start = {**small_trainer(tmp_path)[0].model.state_dict(), "t": torch.full((5,), 4.0)}
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], atol=1e-5), name
    assert (found[0]["classifier.weight"] - start["classifier.weight"]).abs().max() > 1e-3
    if "t" in found[0]:
        assert (found[0]["t"] - start["t"]).abs().max() > 1e-3


def test_equal_weighting_is_the_models_own_loss(tmp_path):
    """With nothing learned or taught, our trainer is transformers' with the model's loss."""
    trainer, _ = small_trainer(tmp_path)
    batch = trainer.data_collator(features(6))
    assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(trainer.model(**batch).loss.item())


def test_the_loss_is_read_whatever_the_model_returns(tmp_path):
    trainer, _ = small_trainer(tmp_path, eval_strategy="no")
    usual = trainer.predict(features(6)).predictions
    trainer.model.config.return_dict = False
    trainer.model.config.output_hidden_states = True
    assert usual.shape == (6, 6, 2)
    assert (trainer.predict(features(6)).predictions == usual).all()


def test_weights_learn_to_favour_the_depths_that_are_right(tmp_path):
    """A depth that is worse than the last loses weight, down to the floor and no further."""
    trainer, _ = small_trainer(
        tmp_path,
        options=vars(ExitOptions(weighting="learned", weight_floor=0.25, weight_rate=2.0)),
        learning_rate=0.0,
        num_train_epochs=8,
    )
    worse = differences(trainer)
    trainer.train()
    steady = [m for m in range(5) if len({bool(d[m] > 0) for d in worse}) == 1]
    assert steady
    weights = trainer.objective.weights()
    for m in steady:
        assert weights[m].item() == pytest.approx(0.25 if worse[0][m] > 0 else 1.0, abs=0.02)
    assert weights.sum().item() == pytest.approx(6)
