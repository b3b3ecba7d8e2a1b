"""Small training runs: tiny models, tiny data with something to learn, and what they leave behind."""

import io
import json

import torch
from rich.console import Console
from safetensors.torch import load_file
from transformers import TrainerCallback

from elbert.tasks import TASKS
from elbert.training.arguments import parse_arguments
from elbert.training.features import Collator
from elbert.training.metrics import build_metrics
from elbert.training.objective import ExitObjective
from elbert.training.options import ExitOptions
from elbert.training.run import train
from elbert.training.trainer import ElbertTrainer
from tiny import texts, tiny_model, write_bundle

LABELS = ("negative", "positive")
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout_prob": 0.0}
RANDOM = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "classifier_dropout_prob": 0.1}
MILD = {"initializer_range": 0.15}  # of the tiny models, these learn


def rows(n, seed=0):
    """``(text, label)`` pairs in which one word tells the label."""
    words = {0: "awful", 1: "great"}
    return [(f"{words[i % 2]} {text}", LABELS[i % 2]) for i, text in enumerate(texts(n, seed, longest=8))]


def write_rows(path, found):
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in found))
    return str(path)


def arguments(output, **changes):
    """TrainingArguments as the command line makes them, on the CPU."""
    flags = {
        "use_cpu": True,
        "bf16": False,
        "per_device_train_batch_size": 8,
        "num_train_epochs": 2,
        "learning_rate": 2e-3,
    } | changes
    return parse_arguments(str(output), {}, [part for k, v in flags.items() for part in (f"--{k}", str(v))])


def run(
    folder,
    output,
    *,
    model=None,
    found=None,
    validation=None,
    labels=LABELS,
    options=None,
    task=None,
    max_length=None,
    **changes,
):
    """A whole run in ``folder``; returns its metrics and what it printed."""
    if model is None:
        model = folder / "start"
        if not model.exists():
            write_bundle(model, **STILL, **MILD)
    train_file = write_rows(folder / "train.jsonl", rows(48) if found is None else found)
    validation_file = write_rows(folder / "dev.jsonl", rows(20, seed=1) if validation is None else validation)
    printed = io.StringIO()
    metrics = train(
        str(model),
        train_file,
        validation_file,
        labels,
        ExitOptions(**(options or {})),
        arguments(output, **changes),
        console=Console(file=printed),
        **({} if task is None else {"problem": task}),
        max_length=max_length,
    )
    return metrics, printed.getvalue()


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def same(a, b, tolerance=0.0):
    assert a.keys() == b.keys()
    return all(torch.allclose(a[name], b[name], rtol=0, atol=tolerance) for name in a)


def record_of(folder):
    return json.loads((folder / "training.json").read_text())


def features(n, seed=0):
    """Training features without a tokeniser: the label is the second token."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for i in range(n):
        rest = torch.randint(6, 40, (int(torch.randint(1, 8, (1,), generator=generator)),), generator=generator)
        ids = [2, 4 + i % 2, *rest.tolist(), 3]
        made.append({"input_ids": ids, "token_type_ids": [0] * len(ids), "labels": i % 2})
    return made


class Watch(TrainerCallback):
    """Remembers the objective's gradient and value, and the rates, at every step."""

    def __init__(self, objective):
        self.objective = objective
        self.gradients, self.values, self.rates = [], [], []

    def on_pre_optimizer_step(self, args, state, control, optimizer, **_):
        self.gradients.append(self.objective.t.grad.clone())
        self.values.append(self.objective.t.detach().clone())
        self.rates.append([group["lr"] for group in optimizer.param_groups])


def small_trainer(output, *, options=None, seed=0, data=None, **changes):
    """An ElbertTrainer with a tiny model, and its watch."""
    model = tiny_model(seed, **STILL, **MILD)
    objective = ExitObjective(6, TASKS["single_label_classification"], ExitOptions(**(options or {})))
    changes = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False} | changes
    watch = Watch(objective)
    trainer = ElbertTrainer(
        objective=objective,
        model=model,
        args=arguments(output, **changes),
        train_dataset=features(32) if data is None else data,
        eval_dataset=features(8),
        data_collator=Collator(0),
        compute_metrics=build_metrics(TASKS["single_label_classification"]),
        callbacks=[watch] if objective.options.weighting == "learned" else [],
    )
    return trainer, watch
