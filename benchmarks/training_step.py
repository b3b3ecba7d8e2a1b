"""A training step that reads every depth, against plain ALBERT's: same Trainer, same data, interleaved.

    python benchmarks/training_step.py [--rounds 7]

Prints the median time of a step and the ratio of each round; the issue's bound is 1.05.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging

from elbert.model.reference.albert import ElbertConfig, ElbertForSequenceClassification
from elbert.tasks import TASKS
from elbert.training.features import Collator
from elbert.training.objective import ExitObjective
from elbert.training.options import ExitOptions
from elbert.training.trainer import ElbertTrainer
from machine import keep

SHAPES: dict[str, dict[str, Any]] = {
    "bundled": {
        "vocab_size": 30522,
        "embedding_size": 192,
        "hidden_size": 384,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "albert-base": {
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
}
ROWS, TOKENS, STEPS = 16, 32, 4


def contestants(shape: dict[str, Any], folder: str) -> dict[str, Callable[[], None]]:
    """What is compared: the same run of a few steps, by plain ALBERT and by each weighting."""
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=ROWS,
        max_steps=STEPS,
        save_strategy="no",
        report_to="none",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    generator = torch.Generator().manual_seed(0)
    rows = [
        {
            "input_ids": torch.randint(5, 1000, (TOKENS,), generator=generator).tolist(),
            "token_type_ids": [0] * TOKENS,
            "labels": i % 2,
        }
        for i in range(ROWS * STEPS)
    ]
    common = {"args": arguments, "train_dataset": rows, "data_collator": Collator(0)}
    plain = Trainer(model=AlbertForSequenceClassification(AlbertConfig(**shape)), **common)
    runs: dict[str, Any] = {"plain": plain}
    for weighting in ("equal", "learned"):
        objective = ExitObjective(12, TASKS["single_label_classification"], ExitOptions(weighting=weighting))
        model = ElbertForSequenceClassification(ElbertConfig(**shape))
        runs[weighting] = ElbertTrainer(objective=objective, model=model, **common)
    for trainer in runs.values():
        trainer.remove_callback(PrinterCallback)
    return {name: trainer.train for name, trainer in runs.items()}


def compare(shape: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Medians over rounds; the ratio is the median of the rounds' own ratios."""
    with tempfile.TemporaryDirectory() as folder:
        runs = contestants(shape, folder)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for round_ in range(rounds + 1):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                if round_:  # the first round warms up
                    seconds[name].append((time.perf_counter() - start) / STEPS)
    ratios = {
        name: statistics.median(s / p for s, p in zip(taken, seconds["plain"], strict=True))
        for name, taken in seconds.items()
    }
    return {
        "rows": ROWS,
        "tokens": TOKENS,
        "rounds": rounds,
        "seconds_per_step": {name: statistics.median(taken) for name, taken in seconds.items()},
        "ratio_to_plain": ratios,
    }


def main() -> None:
    """Compare every shape, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    logging.set_verbosity_error()
    result = {name: compare(shape, rounds) for name, shape in SHAPES.items()}
    for shape, measured in result.items():
        for name, ratio in measured["ratio_to_plain"].items():
            print(
                f"{shape:<12} {name:<8} {measured['seconds_per_step'][name] * 1000:8.0f} ms a step  {ratio:.3f}x plain"
            )
    print(f"kept in {keep('training_step', result)}")


if __name__ == "__main__":
    main()
