"""The reference models in tools of transformers that know nothing of depths: its Trainer, its pipelines."""

import logging

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments, pipeline

from elbert.model.families import BACKBONES
from elbert.model.reference import reference_class
from tiny import texts, tiny_model, write_bundle

ROWS = 19  # the last batch of eight is smaller than the others


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return AutoTokenizer.from_pretrained(write_bundle(tmp_path_factory.mktemp("plain")))


@pytest.fixture
def trainer(tokenizer, tmp_path):
    """A plain Trainer with the usual ``compute_metrics``."""
    rows = [{**tokenizer(text), "labels": i % 2} for i, text in enumerate(texts(ROWS, longest=8))]

    def compute_metrics(found):
        logits, labels = found
        return {"accuracy": float((logits.argmax(-1) == labels).mean()), "rows": len(logits)}

    options = {"per_device_train_batch_size": 8, "per_device_eval_batch_size": 8, "num_train_epochs": 1}
    quiet = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no", "dataloader_pin_memory": False}
    return Trainer(
        model=tiny_model(),
        args=TrainingArguments(str(tmp_path), eval_strategy="epoch", use_cpu=True, **options, **quiet),
        train_dataset=rows,
        eval_dataset=rows,
        compute_metrics=compute_metrics,
        data_collator=DataCollatorWithPadding(tokenizer),
    )


def test_a_plain_trainer_trains_evaluates_and_predicts(trainer, tokenizer):
    before = trainer.model.classifier.weight.detach().clone()
    trainer.train()
    assert not torch.equal(trainer.model.classifier.weight, before)
    metrics, rows = trainer.evaluate(), trainer.eval_dataset
    found = trainer.predict(rows)
    assert found.predictions.shape == (ROWS, 2)
    batch = tokenizer.pad([{"input_ids": row["input_ids"]} for row in rows], return_tensors="pt")
    with torch.inference_mode():
        out = trainer.model.eval()(**batch)
    assert out.exit_logits.shape == (6, ROWS, 2)
    assert np.abs(found.predictions - out.logits.numpy()).max() <= 1e-5
    right = (out.logits.argmax(-1) == torch.tensor([row["labels"] for row in rows])).float().mean()
    assert metrics["eval_accuracy"] == pytest.approx(float(right))
    assert metrics["eval_rows"] == ROWS


def test_accumulated_batches_are_averaged(trainer):
    """The loss is a mean over the rows of a batch; without the declaration, the Trainer would add up such means."""
    assert trainer.model_accepts_loss_kwargs is False


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: backbone.stem)
def test_every_family_names_the_output_that_trainers_leave_out(backbone, tmp_path):
    config = reference_class(backbone).config_class
    assert config.keys_to_ignore_at_inference == ["exit_logits"]
    assert issubclass(config, getattr(transformers, f"{backbone.stem}Config"))
    config().save_pretrained(tmp_path)
    assert "keys_to_ignore" not in (tmp_path / "config.json").read_text()


def test_a_pipeline_takes_the_model_without_a_warning(tokenizer, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    model = tiny_model()
    found = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")(["good film", "a", "bad"])
    assert caplog.messages == []
    with torch.inference_mode():
        scores = model(**tokenizer(["bad"], return_tensors="pt")).logits.softmax(-1)
    assert found[2]["score"] == pytest.approx(float(scores.max()), abs=1e-5)
