"""Tiny token classifiers with random weights, of every family."""

import torch

import tiny
import tiny_encoders
from elbert.model.reference.token_classifiers import ElbertForTokenClassification

TAGS = ("O", "B-person", "I-person", "B-place", "I-place")
ENCODERS = ("albert", *tiny_encoders.FAMILIES)


def write_tagger(folder, family="albert", seed=0, **changes):
    """A folder as transformers saves it."""
    if family == "albert":
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        ElbertForTokenClassification(tiny.tiny_config(TAGS, **changes)).eval().save_pretrained(folder)
        tiny.write_tokenizer(folder, changes.get("max_position_embeddings", 64))
        return folder
    return tiny_encoders.write_encoder(folder, family, seed, "ForTokenClassification", labels=TAGS, **changes)
