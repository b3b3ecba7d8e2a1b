"""Tiny token classifiers with tokenizers that pages know: WordPiece as BERT's, unigram pieces as ALBERT's."""

import shutil

import numpy as np
import pytest
import torch
from browser_site import SENTENCES

from elbert import bundled_model
from elbert.model.reference.albert import ElbertConfig
from elbert.model.reference.token_classifiers import ElbertForTokenClassification
from taggers import TAGS
from tiny import SIZES, train_sentencepiece

IDS = 30522  # as many as the larger tokenizer has
CLOSE = 1e-4  # of scores and signals
TOKENIZERS = ("wordpiece", "unigram")
STRATEGIES = ("simple", "first")
PLAIN = (
    "the",
    "film",
    "in",
    "New",
    "York",
    "was",
    "charming",
    ",",
    "dull",
    ".",
    "and",
    "a",
    "(",
    "city",
    ")",
    "!",
    "?",
)
NAMES = (
    "Smith",
    "Zürich",
    "é",
    "東京",
    "𝔘nicode",
    "😀",
    "naïve",
    "O'Neill",
    "U.S.",
    "don't",
    "Ångström",
    "(in)",
    "İstanbul",
)
TEXTS = (
    "book a table for two in New York, please!",
    "Mr. Smith (of Zürich) wasn't in 東京; he'd gone to İstanbul...",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 😀😀 in São Paulo 𝒜, a é e\u0301 \u2003wide\u00a0space ﬁne ½ film",
    "\t leading and  double   spaces \n and a line\x1cbreak ",
    "film",
    "😀",
    "[MASK] in [SEP] text [CLS]x",
    "a charming film about Tokyo , with a dull ending in Paris - or not ?",
)
EMPTY = ("", "  ", "\u0007")
LONG = "The film in New York was 😀 charming for Smith. " * 30


def write_page_tagger(folder, tokenizer, strategy="simple", seed=0, labels=TAGS):
    """A folder as training writes it, of at most 64 tokens."""
    folder.mkdir(parents=True)
    if tokenizer == "wordpiece":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(bundled_model() / name, folder)
    else:
        train_sentencepiece(folder, [*SENTENCES, " ".join(NAMES), *TEXTS[:3]], vocab_size=400)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    torch.manual_seed(seed)
    config = ElbertConfig(vocab_size=IDS, **SIZES | names | {"initializer_range": 0.3}, aggregation_strategy=strategy)
    model = ElbertForTokenClassification(config).eval()
    with torch.no_grad():  # words differ more than their places, so that a text has several tags
        model.albert.embeddings.word_embeddings.weight.mul_(4)
        model.classifier.weight.mul_(4)
    model.save_pretrained(folder)
    return folder


def draw_texts(rng, n, pieces):
    """Texts of words, marks and these pieces."""
    some = [*PLAIN, *NAMES, *pieces]

    def draw():
        return "".join(rng.choice(some) + rng.choice([" ", " ", "", "  "]) for _ in range(rng.randrange(1, 25)))

    return [draw() for _ in range(n)]


def check_answer(answer, expected):
    """An answer of the page is a prediction of Python, with all depths of its trace."""
    assert (answer["depth"], answer["reason"], answer["truncated"]) == (
        *(expected.depth, expected.reason, expected.truncated),
    )
    spans = [(one.label, one.start, one.end, one.word) for one in expected.entities]
    assert [(one["label"], one["start"], one["end"], one["word"]) for one in answer["entities"]] == spans
    scores = [one.score for one in expected.entities]
    assert [one["score"] for one in answer["entities"]] == pytest.approx(scores, abs=CLOSE)
    check_words(answer["step"], expected.words)
    if not answer["steps"]:
        return
    assert len(answer["steps"]) == expected.depth
    for step, known in zip(answer["steps"], expected.trace, strict=True):
        check_words(step, known.words)
        assert step["least_settled"] == known.least_settled
        signals = {name: np.inf if value is None else value for name, value in step["signals"].items()}  # JSON has none
        assert signals == pytest.approx(known.signals, abs=CLOSE)


def check_words(step, words):
    expected = [(word.word, word.tag, word.start, word.end) for word in words]
    assert [(word["word"], word["tag"], word["start"], word["end"]) for word in step["words"]] == expected
    assert [word["score"] for word in step["words"]] == pytest.approx([word.score for word in words], abs=CLOSE)
