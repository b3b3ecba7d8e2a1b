"""Tiny BERTs, RoBERTas and DistilBERTs with random weights, saved by transformers itself: nothing here is ours."""

import json

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tiny import WORDS

FAMILIES = ("bert", "roberta", "distilbert")
LONGEST = 64
SIZES = {"hidden_size": 32, "num_hidden_layers": 6, "num_attention_heads": 4}
INNER = 48
SPECIALS = {
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
    "roberta": ["<s>", "<pad>", "</s>", "<unk>"],
    "distilbert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
}
CLASSES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}
FIRST_WORD = 4


def plain_class(family, task="ForSequenceClassification"):
    """transformers' own class."""
    return getattr(transformers, CLASSES[family] + task)


def tiny_config(family, labels=("negative", "positive"), **changes):
    """Sizes by BERT's names, for every family."""
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    settings = {"vocab_size": 4 + len(WORDS), "initializer_range": 0.4, **SIZES, **names, **changes}
    settings.setdefault("max_position_embeddings", LONGEST + (2 if family == "roberta" else 0))
    inner = {"distilbert": "hidden_dim"}.get(family, "intermediate_size")
    if family == "distilbert":
        settings = {{"hidden_act": "activation"}.get(name, name): value for name, value in settings.items()}
    else:
        settings.setdefault("type_vocab_size", 1 if family == "roberta" else 2)
    return getattr(transformers, CLASSES[family] + "Config")(**{inner: INNER}, **settings)


def plain_model(family, seed=0, task="ForSequenceClassification", **changes):
    """A model of transformers with random biases and norms too, so that none goes unnoticed."""
    torch.manual_seed(seed)
    model = plain_class(family, task)(tiny_config(family, **changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name.lower():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def write_tokenizer(folder, family):
    pad, cls, sep = {"roberta": ("<pad>", "<s>", "</s>")}.get(family, ("[PAD]", "[CLS]", "[SEP]"))
    unknown = "<unk>" if family == "roberta" else "[UNK]"
    vocabulary = {word: i for i, word in enumerate([*SPECIALS[family], *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.add_special_tokens(SPECIALS[family])
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ids = [(token, vocabulary[token]) for token in (cls, sep)]
    pair = f"{cls} $A {sep} {sep} $B {sep}" if family == "roberta" else f"{cls} $A {sep} $B:1 {sep}:1"
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{cls} $A {sep}", pair=pair, special_tokens=ids)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": LONGEST,
        "pad_token": pad,
        "cls_token": cls,
        "sep_token": sep,
        "unk_token": unknown,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_encoder(folder, family, seed=0, task="ForSequenceClassification", **changes):
    """A folder as transformers saves it, and a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    plain_model(family, seed, task, **changes).save_pretrained(folder)
    write_tokenizer(folder, family)
    return folder


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))
