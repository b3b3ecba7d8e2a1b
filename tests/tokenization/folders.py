"""Small folders of the tokenizers of four families, in every form in which transformers saved them."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WORDS = [
    "the",
    "film",
    "great",
    "The",
    "Film",
    "Great",
    "naïve",
    "naive",
    "é",
    "new",
    "York",
    "電",
    "影",
    "a",
    "b",
    "c",
]
BERT_VOCAB = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *WORDS,
    "##s",
    "##m",
    "fil",
    ",",
    ".",
    "'",
    "[",
    "]",
    "##影",
]
ALBERT_SPECIALS = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
ALBERT_PIECES = [*("▁" + word for word in WORDS), "▁", *"abcdefilmnrstTFG", "é", "電", ",", "ing", "film", "aa", "▁a,"]
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
MERGES = [
    ("t", "h"),
    ("th", "e"),
    ("Ġ", "the"),
    ("f", "i"),
    ("fi", "l"),
    ("fil", "m"),
    ("a", "a"),
    ("Ġ", "a"),
    ("Ġ", "Ġ"),
]
FAMILIES = ("albert", "bert", "distilbert", "roberta")
OWN_CLASS = {"albert": "AlbertTokenizer", "bert": "BertTokenizer", "roberta": "RobertaTokenizer"}
OWN_CLASS["distilbert"] = "DistilBertTokenizer"


def bert_tokenizer():
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(BERT_VOCAB)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = template("[CLS]", 2, "[SEP]", 3)
    tokenizer.add_special_tokens(BERT_VOCAB[:5])
    return tokenizer


def albert_tokenizer():
    vocabulary = [(word, 0.0) for word in ALBERT_SPECIALS]
    vocabulary += [(piece, -2.0 - 0.37 * i) for i, piece in enumerate(ALBERT_PIECES)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, 1, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = template("[CLS]", 2, "[SEP]", 3)
    tokenizer.add_special_tokens(ALBERT_SPECIALS)
    return tokenizer


def roberta_tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*ROBERTA_SPECIALS, *alphabet, *("".join(merge) for merge in MERGES)]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.add_special_tokens(ROBERTA_SPECIALS)
    return tokenizer


def template(cls, cls_id, sep, sep_id):
    return processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B:1 {sep}:1", special_tokens=[(cls, cls_id), (sep, sep_id)]
    )


MAKERS = {
    "albert": albert_tokenizer,
    "bert": bert_tokenizer,
    "distilbert": bert_tokenizer,
    "roberta": roberta_tokenizer,
}


def write_folder(folder: Path, family: str, settings=None, *, fast=True, change=None, **files) -> Path:
    """Write a folder; ``change`` edits the content of tokenizer.json, ``files`` are more JSON files by their stems."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = MAKERS[family]()
    content = json.loads(tokenizer.to_str())
    if fast:
        if change is not None:
            change(content)
        write(folder / "tokenizer.json", content)
    elif family == "roberta":
        write(folder / "vocab.json", content["model"]["vocab"])
        merges = "\n".join(" ".join(merge) for merge in MERGES)
        (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    else:
        (folder / "vocab.txt").write_text("\n".join(BERT_VOCAB) + "\n", encoding="utf-8")
    write(folder / "config.json", {"model_type": family})
    if settings is not None:
        write(folder / "tokenizer_config.json", settings)
    for stem, value in files.items():
        write(folder / f"{stem}.json", value)
    return folder


def write(path, content):
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
