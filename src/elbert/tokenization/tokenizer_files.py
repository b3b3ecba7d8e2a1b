"""Load the tokenizer of a model folder: ``tokenizer.json``, ``spiece.model``, vocabulary files, or what transformers
reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from elbert._display import quote_error
from elbert._model_files import MAX_TOKENIZER_BYTES, read_text
from elbert._optional import require
from elbert.errors import BundleError, ElbertError
from elbert.tokenization.folder_settings import CONFIG_FILE, FolderSettings, read_folder_settings
from elbert.tokenization.tokenizer_classes import (
    DEFAULTS,
    VOCABULARY_FILES,
    WITH_TYPE_IDS,
    build_from_sentencepiece,
    build_from_vocabulary,
    lay_over,
    read_charsmap,
)
from elbert.tokenization.tokenizer_limits import check_limits

TOKENIZER_FILE = "tokenizer.json"
SPIECE_FILE = "spiece.model"
OTHER_FILES = ("vocab.txt", "vocab.json", "tokenizer.model")
NO_LIMIT = 10**9  # of model_max_length, from which it is no limit
SPECIAL_TOKENS = 5  # the vocabulary of a tokenizer class that did not find its file
TOKENIZER_REMEDY = "copy the tokenizer files of the model it was trained from into the folder"
TYPE_IDS = "token_type_ids"


def load_tokenizer(folder: Path) -> tuple[Tokenizer, dict[str, Any]]:
    """Return the tokenizer of ``folder``, without padding and truncation, and its settings.

    The settings are those of ``tokenizer_config.json``, completed by the older files and by what transformers' class
    for the folder adds; ``truncation_side`` and ``model_input_names`` are always there.

    Raises:
        BundleError: there is no tokenizer, or it cannot be read, or a setting cannot be followed.
        MissingExtra: only transformers can read it, and transformers is not installed.
    """
    path = folder / TOKENIZER_FILE
    text = read_text(path, remedy=TOKENIZER_REMEDY, max_bytes=MAX_TOKENIZER_BYTES) if path.exists() else None
    content = None if text is None else _parse(text, path)
    settings = read_folder_settings(folder, content)
    values = settings.values
    names = ["input_ids", "attention_mask"]
    if text is not None and content is not None and settings.class_name in DEFAULTS:
        with _name_file(path):
            read_charsmap(content.get("normalizer"))  # before the library reads it
            tokenizer = lay_over(Tokenizer.from_str(text), content, settings, path)
    elif content is None and (folder / SPIECE_FILE).is_file() and not _has_vocabulary(folder, settings):
        _check_no_template(folder, values)
        with _name_file(folder / SPIECE_FILE):
            tokenizer = build_from_sentencepiece(folder / SPIECE_FILE, settings)
        names = ["input_ids", TYPE_IDS, "attention_mask"]  # as ALBERT was trained; transformers 5 returns no type ids
    elif content is None and settings.class_name in VOCABULARY_FILES and _has_files(folder):
        with _name_file(folder / VOCABULARY_FILES[settings.class_name][0]):
            tokenizer = build_from_vocabulary(folder, settings)
    else:
        tokenizer, read = _from_transformers(folder)
        values.update({name: value for name, value in read.items() if value is not None})
    if settings.class_name in WITH_TYPE_IDS:
        names = ["input_ids", TYPE_IDS, "attention_mask"]
    values.setdefault("model_input_names", names)
    values.setdefault("truncation_side", "right")
    for role, name in DEFAULTS.get(settings.class_name, {}).items():
        if values.get(role) is None and tokenizer.token_to_id(name) is not None:
            values[role] = name
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = settings.boolean("split_special_tokens", False)
    with _name_file(path if content is not None else folder):
        check_limits(tokenizer, path if content is not None else folder)
    return tokenizer, values


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not a usable tokenizer ({quote_error(error)}); {TOKENIZER_REMEDY}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), Mapping):
        raise BundleError(f"{path}: not a usable tokenizer (no model in it); {TOKENIZER_REMEDY}")
    return content


def _has_vocabulary(folder: Path, settings: FolderSettings) -> bool:
    names = VOCABULARY_FILES.get(settings.class_name, ())
    return bool(names) and all((folder / name).is_file() for name in names)


def _has_files(folder: Path) -> bool:
    """Whether there is a file to read at all, and none that transformers 5 prefers to the class's own."""
    return any((folder / name).is_file() for name in ("vocab.txt", "vocab.json")) and not any(
        (folder / name).exists() for name in ("tokenizer.model", "tekken.json", "tiktoken.model")
    )


def _check_no_template(folder: Path, values: Mapping[str, Any]) -> None:
    for name in ("add_bos_token", "add_eos_token"):
        if name in values:
            raise BundleError(f"{folder / CONFIG_FILE}: {name} is not supported with {SPIECE_FILE}; delete it")


@contextmanager
def _name_file(path: Path) -> Iterator[None]:
    """Name the file in the errors of the library."""
    try:
        yield
    except (ElbertError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the Rust library raises plain Exception, and other classes on a panic
        raise BundleError(f"{path}: not a usable tokenizer ({quote_error(error)}); {TOKENIZER_REMEDY}") from error


def _from_transformers(folder: Path) -> tuple[Tokenizer, dict[str, Any]]:
    present = [name for name in (TOKENIZER_FILE, *OTHER_FILES) if (folder / name).is_file()]
    if not present:
        looked_for = ", ".join((TOKENIZER_FILE, SPIECE_FILE, *OTHER_FILES))
        raise BundleError(f"{folder}: no tokenizer found (looked for {looked_for}); {TOKENIZER_REMEDY}")

    auto_tokenizer = require("transformers", "train").AutoTokenizer
    try:
        loaded = auto_tokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # each tokenizer class raises errors of its own, for missing packages too
        raise BundleError(
            f"{folder}: transformers cannot load {', '.join(present)} ({quote_error(error)}); {TOKENIZER_REMEDY}"
        ) from error
    tokenizer = getattr(loaded, "backend_tokenizer", None)
    if not isinstance(tokenizer, Tokenizer):
        raise BundleError(f"{folder}: {type(loaded).__name__} has no fast tokenizer; save it as {TOKENIZER_FILE}")
    # A class for other files loads without an error, and has its special tokens only.
    if tokenizer.get_vocab_size() <= SPECIAL_TOKENS:
        raise BundleError(
            f"{folder}: {type(loaded).__name__} found no vocabulary in {', '.join(present)}; "
            f"name the right tokenizer_class in tokenizer_config.json, or {TOKENIZER_REMEDY}"
        )
    specials = {name: str(token) for name, token in loaded.special_tokens_map.items() if isinstance(token, str)}
    return tokenizer, {
        **specials,
        "truncation_side": loaded.truncation_side,
        "model_input_names": list(loaded.model_input_names),
        "split_special_tokens": loaded.split_special_tokens,
        "model_max_length": loaded.model_max_length,
    }


def read_length_limit(settings: Mapping[str, Any], where: str) -> int | None:
    """Return ``model_max_length``, or None where there is no limit, for which transformers writes 10**30.

    Raises:
        BundleError: it is no whole number from 1; ``where`` is the folder, for the message.
    """
    length = settings.get("model_max_length", settings.get("max_len"))
    if length is None:
        return None
    is_number = isinstance(length, int | float) and not isinstance(length, bool) and length >= 1
    if not is_number or (length < NO_LIMIT and length != int(length)):
        raise BundleError(
            f"{where}: model_max_length in {CONFIG_FILE} is {length!r:.80}, expected a whole number from 1"
        )
    return int(length) if length < NO_LIMIT else None
