"""Load the tokenizer of a model folder: ``tokenizer.json``, ``spiece.model``, or files that transformers reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from elbert._model_files import MAX_TOKENIZER_BYTES, check_file, read_json
from elbert._optional import require
from elbert.errors import BundleError
from elbert.tokenization.sentencepiece import REMEDY, Piece, SentencePieceModel, read_sentencepiece

TOKENIZER_FILE = "tokenizer.json"
SPIECE_FILE = "spiece.model"
OTHER_FILES = ("vocab.txt", "vocab.json", "tokenizer.model")
CONFIG_FILE = "tokenizer_config.json"
SPECIALS_FILE = "special_tokens_map.json"
ALBERT: Mapping[str, Any] = {
    "do_lower_case": True,
    "keep_accents": False,
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "<unk>",
    "sep_token": "[SEP]",
    "pad_token": "<pad>",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
SPACE = "▁"
# ALBERT was trained with the comma after a digit split off, which a piece such as "2010," would prevent. Such a piece
# keeps its id; its score becomes a hundred nats lower than that of any other segmentation.
DIGIT_COMMA_PENALTY = 100.0
SPECIAL_TOKENS = 5  # the vocabulary of a tokenizer class that did not find its file
TOKENIZER_REMEDY = "copy the tokenizer files of the model it was trained from into the folder"


def load_tokenizer(folder: Path) -> tuple[Tokenizer, dict[str, Any]]:
    """Return the tokenizer of ``folder``, without padding and truncation, and its settings.

    Raises:
        BundleError: there is no tokenizer, or it cannot be read.
        MissingExtra: only transformers can read it, and transformers is not installed.
    """
    settings = read_settings(folder)
    if (folder / TOKENIZER_FILE).is_file():
        tokenizer = _from_json(folder / TOKENIZER_FILE)
    elif (folder / SPIECE_FILE).is_file():
        tokenizer, settings = build_albert_tokenizer(folder / SPIECE_FILE, settings)
    else:
        tokenizer, specials = _from_transformers(folder)
        settings = {**specials, **settings}
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, settings


def _from_json(path: Path) -> Tokenizer:
    check_file(path, MAX_TOKENIZER_BYTES, remedy=TOKENIZER_REMEDY)
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust library raises plain Exception
        raise BundleError(f"{path}: not a usable tokenizer ({error}); {TOKENIZER_REMEDY}") from error


def _from_transformers(folder: Path) -> tuple[Tokenizer, dict[str, Any]]:
    present = [name for name in OTHER_FILES if (folder / name).is_file()]
    if not present:
        looked_for = ", ".join((TOKENIZER_FILE, SPIECE_FILE, *OTHER_FILES))
        raise BundleError(f"{folder}: no tokenizer found (looked for {looked_for}); {TOKENIZER_REMEDY}")

    auto_tokenizer = require("transformers", "train").AutoTokenizer
    try:
        loaded = auto_tokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # each tokenizer class raises errors of its own, for missing packages too
        raise BundleError(
            f"{folder}: transformers cannot load {', '.join(present)} ({error}); {TOKENIZER_REMEDY}"
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
    return tokenizer, {name: str(token) for name, token in loaded.special_tokens_map.items() if isinstance(token, str)}


def build_albert_tokenizer(path: Path, settings: Mapping[str, Any]) -> tuple[Tokenizer, dict[str, Any]]:
    """Build the tokenizer of the ``spiece.model`` at ``path``.

    ``settings`` is the content of the folder's ``tokenizer_config.json``; ALBERT's values complete it. Returns the
    tokenizer and the completed settings.

    Raises:
        BundleError: the file is not a unigram model, or lacks a special token that ``settings`` names.
    """
    model = read_sentencepiece(path)
    complete = {**ALBERT, **settings}
    try:
        vocabulary = [(piece.text, _adjust_score(piece)) for piece in model.pieces]
        tokenizer = Tokenizer(models.Unigram(vocabulary, model.unk_id, model.byte_fallback))
        tokenizer.normalizer = _build_normalizer(model, complete)
    except Exception as error:  # the Rust library raises plain Exception, and other classes on a panic
        raise BundleError(f"{path}: not a usable SentencePiece model ({error}); {REMEDY}") from error
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.post_processor = _build_template(tokenizer, complete, path)
    tokenizer.add_special_tokens(_list_special_tokens(tokenizer, complete))
    # Writing and reading a tokenizer.json changes a score by its last bit, enough to decide a tie otherwise. After one
    # round trip the scores are stable.
    return Tokenizer.from_str(tokenizer.to_str()), complete


def _adjust_score(piece: Piece) -> float:
    ends_in_digit_comma = piece.text.endswith(",") and piece.text[-2:-1].isdigit()
    return piece.score - DIGIT_COMMA_PENALTY if ends_in_digit_comma else piece.score


def _build_normalizer(model: SentencePieceModel, settings: Mapping[str, Any]) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not settings["keep_accents"]:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if settings["do_lower_case"]:
        steps.append(normalizers.Lowercase())
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    return normalizers.Sequence(steps)


def _build_template(tokenizer: Tokenizer, settings: Mapping[str, Any], path: Path) -> processors.TemplateProcessing:
    ids: dict[str, int] = {}
    for role in ("cls_token", "sep_token"):
        token = read_token_text(settings[role])
        found = None if token is None else tokenizer.token_to_id(token)
        if token is None or found is None:
            raise BundleError(f"{path}: no piece {token!r} for {role}; name it in tokenizer_config.json, or {REMEDY}")
        ids[token] = found
    cls, sep = read_token_text(settings["cls_token"]), read_token_text(settings["sep_token"])
    return processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=list(ids.items()),
    )


def _list_special_tokens(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> list[AddedToken]:
    """Return the special tokens of the vocabulary in id order; a missing one would get an id beyond the embeddings."""
    mask = read_token_text(settings["mask_token"])
    names = {
        read_token_text(settings[role]) for role in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    }
    ids = {name: tokenizer.token_to_id(name) for name in names if name is not None}
    known = sorted((i, name) for name, i in ids.items() if i is not None)
    return [AddedToken(name, lstrip=name == mask, normalized=False, special=True) for _, name in known]


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of the tokenizer in ``folder``; empty if the folder has no settings file.

    Raises:
        BundleError: a settings file is not a JSON object.
    """
    return {**_read_json(folder / SPECIALS_FILE), **_read_json(folder / CONFIG_FILE)}


def _read_json(path: Path) -> dict[str, Any]:
    return read_json(path, remedy="restore it, or delete it") if path.exists() else {}


def read_token_text(token: object) -> str | None:
    """Return the text of a special token, which these files write as a string or as ``{"content": …}``."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None


def read_length_limit(settings: Mapping[str, Any]) -> int | None:
    """Return ``model_max_length``, or None where there is no limit, for which transformers writes 10**30."""
    length = settings.get("model_max_length")
    is_limit = isinstance(length, int) and not isinstance(length, bool) and 0 < length < 10**9
    return int(length) if is_limit and length is not None else None
