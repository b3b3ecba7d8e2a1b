"""Where a folder's tokenizer comes from: ``tokenizer.json``, ``spiece.model``, or what transformers can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from elbert.errors import BundleError
from elbert.text.albert import albert_tokenizer
from elbert.text.settings import read_settings

TOKENIZER_FILE = "tokenizer.json"
SPIECE_FILE = "spiece.model"
OTHER_FILES = ("vocab.txt", "vocab.json", "tokenizer.model")
BARE_VOCABULARY = 5
REMEDY = "copy the tokenizer files of the model it was trained from into the folder"


def find_tokenizer(folder: Path) -> tuple[Tokenizer, dict[str, Any]]:
    """Return the tokenizer of ``folder``, which neither pads nor truncates, and its settings.

    Raises:
        BundleError: there is no tokenizer, or it cannot be read.
    """
    settings = read_settings(folder)
    if (folder / TOKENIZER_FILE).is_file():
        tokenizer = _from_json(folder / TOKENIZER_FILE)
    elif (folder / SPIECE_FILE).is_file():
        tokenizer, settings = albert_tokenizer(folder / SPIECE_FILE, settings)
    else:
        tokenizer, specials = _from_transformers(folder)
        settings = {**specials, **settings}
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, settings


def _from_json(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises bare Exception
        raise BundleError(f"{path}: not a usable tokenizer ({error}); {REMEDY}") from error


def _from_transformers(folder: Path) -> tuple[Tokenizer, dict[str, Any]]:
    present = [name for name in OTHER_FILES if (folder / name).is_file()]
    if not present:
        looked_for = ", ".join((TOKENIZER_FILE, SPIECE_FILE, *OTHER_FILES))
        raise BundleError(f"{folder}: no tokenizer found (looked for {looked_for}); {REMEDY}")

    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # every tokenizer class fails in its own way, missing packages included
        raise BundleError(f"{folder}: transformers cannot load {', '.join(present)} ({error}); {REMEDY}") from error
    tokenizer = getattr(loaded, "backend_tokenizer", None)
    if not isinstance(tokenizer, Tokenizer):
        raise BundleError(f"{folder}: {type(loaded).__name__} has no fast tokenizer; save it as {TOKENIZER_FILE}")
    # A class that does not know the file at hand comes up with nothing but its special tokens, and no error.
    if tokenizer.get_vocab_size() <= BARE_VOCABULARY:
        raise BundleError(
            f"{folder}: {type(loaded).__name__} read no words from {', '.join(present)}; "
            f"name the right tokenizer_class in tokenizer_config.json, or {REMEDY}"
        )
    return tokenizer, {name: str(token) for name, token in loaded.special_tokens_map.items() if isinstance(token, str)}
