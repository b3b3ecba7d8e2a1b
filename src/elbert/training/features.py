"""Training data: examples of a file as tokens and labels, and padded batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert._display import plural
from elbert.bundle import Bundle
from elbert.data import DEFAULT_COLUMNS, Columns, Example, SkipBad, ignore_bad, iterate_examples
from elbert.data.sketch import hash_content
from elbert.engine import TextReader
from elbert.errors import BadRow, DataError, ElbertError, InputError
from elbert.evaluation import read_targets, split_indices
from elbert.tasks import Task
from elbert.tasks.spans import NO_TAG
from elbert.tasks.token_classification import IGNORED
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokens import Text
from elbert.tokenization.word_pieces import find_word_pieces
from elbert.training.defaults import LONG, SHORT, cuts_many

Features = dict[str, Any]


def load_data(
    train: Any,
    validation: Any,
    bundle: Bundle,
    max_length: int | None,
    names: Sequence[str],
    task: Task,
    columns: Columns = DEFAULT_COLUMNS,
    skip_bad: SkipBad | None = None,
) -> tuple[Tokeniser, dict[str, list[Features]]]:
    """Return the tokenizer with the number of tokens at which texts are cut, and the rows by the Trainer's names.

    Without ``max_length`` it is :data:`SHORT`, or :data:`LONG` if that cuts many of the training texts.

    Raises:
        InputError: the length is too small, or larger than the model or its tokenizer takes.
        BadRow, DataError: as for :func:`load_features`.
    """
    tokeniser = load_training_tokeniser(bundle, max_length, task)
    rows = load_features(train, tokeniser, names, task, "train", columns, skip_bad)
    if max_length is None and cuts_many(rows):
        tokeniser = load_training_tokeniser(bundle, None, task, length=LONG)
        ignore = skip_bad and ignore_bad  # bad rows were reported above
        rows = load_features(train, tokeniser, names, task, "train", columns, ignore)
    held = load_features(validation, tokeniser, names, task, "validation", columns, skip_bad)
    return tokeniser, {"train_dataset": rows, "eval_dataset": held}


def load_training_tokeniser(bundle: Bundle, max_length: int | None, task: Task, *, length: int = SHORT) -> Tokeniser:
    """Load the tokenizer with the number of tokens at which training cuts texts.

    Without ``max_length``, this is ``length``, or what the model takes if that is less.

    Raises:
        InputError: the number is too small, or larger than the model or its tokenizer takes.
        DataError: the tokenizer belongs to another model.
    """
    needed = length if max_length is None else max_length
    tokeniser = Tokeniser.load(bundle.folder, min(needed, bundle.config.max_length), per_token=task.per_token)
    if max_length is not None and max_length > tokeniser.max_length:
        raise InputError(f"max_length is {max_length}, and the model takes at most {tokeniser.max_length} tokens")
    if tokeniser.vocab_size > bundle.config.vocab_size:
        raise DataError(f"{bundle.folder}: the tokenizer has more tokens than the model; restore its files")
    return tokeniser


def load_features(
    data: Any,
    tokeniser: Tokeniser,
    names: Sequence[str],
    task: Task,
    source: str = "data",
    columns: Columns = DEFAULT_COLUMNS,
    skip_bad: SkipBad | None = None,
) -> list[Features]:
    """Tokenise every example of a file, or of data in memory, and read its label.

    Raises:
        BadRow: a row has no label, or a label that is not one of the model's, and there is no ``skip_bad``.
        DataError: the file cannot be read or has no examples.
    """
    examples, hashes = list[Example](), list[int]()

    def texts() -> Iterator[Text]:
        for example in iterate_examples(data, source=source, columns=columns, needs_labels=True, skip_bad=skip_bad):
            examples.append(replace(example, text="", text_pair=None))  # a data set is kept as tokens and labels
            hashes.append(hash_content(example.content()))
            yield example.content()

    reader, rows, words = TextReader(texts(), tokeniser), list[Tokens | ElbertError](), dict[int, list[int]]()
    while not reader.has_ended:
        rows += reader.read_block()
        words.update((number, find_word_pieces(text, row.pieces)) for number, (text, row) in reader.sources.items())
        reader.forget(list(reader.sources))
    reader.raise_error()
    if not examples:
        raise DataError(f"{data if isinstance(data, str) else source}: no examples")
    kept, targets = read_targets(examples, names, task, skip_bad)
    labels = dict(zip(map(id, kept), targets.values.tolist(), strict=True))
    features = list[Features]()
    for number, (row, example) in enumerate(zip(rows, examples, strict=True)):
        if id(example) not in labels:
            continue
        try:
            found = make_features(row, labels[id(example)], hashes[number], example)
            if task.per_token:
                found["labels"] = place_tags(found, words.get(number, []), example)
            features.append(found)
        except BadRow as bad:
            if skip_bad is None:
                raise
            skip_bad(bad)
    if not features:
        raise DataError(f"{data if isinstance(data, str) else source}: no row can be used; correct those named above")
    return features


def hold_out(
    data: Any, share: float, columns: Columns, skip_bad: SkipBad | None = None
) -> tuple[list[Example], list[Example]]:
    """Return training data and validation data: a random share of it, the same one each time.

    Raises:
        InputError: the share is not between 0 and 1, or one of the two parts has no examples.
    """
    name = data if isinstance(data, str) else "train"
    examples = list(iterate_examples(data, source="train", columns=columns, needs_labels=True, skip_bad=skip_bad))
    held, rest = split_indices(len(examples), share)
    if not len(held) or not len(rest):
        raise InputError(
            f"{name}: {plural(len(examples), 'row is', 'rows are')} too few to hold out {share:.0%} of them; "
            "pass more, or validation data (--validation)"
        )
    return [examples[i] for i in rest], [examples[i] for i in held]


def place_tags(row: Features, words: Sequence[int], example: Example) -> NDArray[np.int64]:
    """Return the label of each token: the tag of a word at its first piece, ``words``, elsewhere none.

    Raises:
        BadRow: there are not as many tags as words, or no word has a piece.
    """
    tags = [tag for tag in row["labels"] if tag != NO_TAG]
    if len(tags) != len(words):
        raise example.bad_row(f"{len(tags)} tags for {len(words)} words; expected the columns tokens and tags")
    labels = np.full(len(row["input_ids"]), IGNORED, np.int64)
    for tag, position in zip(tags, words, strict=True):
        if position >= 0:
            labels[position] = tag
    if (labels == IGNORED).all():
        raise example.bad_row("no word that the tokenizer has a token for")
    return labels


def make_features(row: Tokens | ElbertError, label: Any, hashed: int, example: Example) -> Features:
    """Return the tokens of an example as packed arrays, its label, and the hash of its text.

    Raises:
        BadRow: the tokenizer failed on the example.
    """
    if isinstance(row, ElbertError):
        raise example.bad_row(str(row)) from row
    return {
        "input_ids": np.array(row.ids, np.int32),
        "token_type_ids": np.array(row.type_ids, np.uint8),
        "labels": label,
        "hash": hashed,
        "truncated": row.truncated,
    }


@dataclass(frozen=True)
class Collator:
    """Combines features to a batch, padded to its longest row."""

    pad_id: int

    def __call__(self, features: list[Features]) -> dict[str, Tensor]:
        """Return ``input_ids, attention_mask, token_type_ids [rows, tokens]`` and ``labels``."""
        lengths = [len(f["input_ids"]) for f in features]
        host: dict[str, Any] = {"dtype": torch.long, "device": "cpu"}  # whatever torch's defaults are
        is_class = isinstance(features[0]["labels"], int)
        positions = torch.arange(max(lengths), **host)
        return {
            "input_ids": pad_rows([f["input_ids"] for f in features], self.pad_id),
            "attention_mask": (positions < torch.tensor(lengths, **host).unsqueeze(-1)).long(),
            "token_type_ids": pad_rows([f["token_type_ids"] for f in features], 0),
            "labels": pad_rows([f["labels"] for f in features], IGNORED)
            if isinstance(features[0]["labels"], np.ndarray)
            else torch.tensor(
                [f["labels"] for f in features], dtype=torch.long if is_class else torch.float32, device="cpu"
            ),
        }


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Return ``[rows, longest]``."""
    tensors = [torch.tensor(row, dtype=torch.long, device="cpu") for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
