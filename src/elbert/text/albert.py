"""ALBERT's tokenizer, built from its SentencePiece model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from elbert.errors import BundleError
from elbert.text.settings import token_text
from elbert.text.spiece import REMEDY, Piece, Spiece, read_spiece

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
# keeps its id and becomes a hundred nats less likely than any way to spell it.
DIGIT_COMMA_PENALTY = 100.0


def albert_tokenizer(path: Path, settings: Mapping[str, Any]) -> tuple[Tokenizer, dict[str, Any]]:
    """Build the tokenizer of the ``spiece.model`` at ``path``.

    ``settings`` is the folder's ``tokenizer_config.json``; what it does not say is as in ALBERT. Both the tokenizer
    and the completed settings are returned.

    Raises:
        BundleError: the file is no unigram model, or lacks a special token that ``settings`` names.
    """
    spiece = read_spiece(path)
    complete = {**ALBERT, **settings}
    try:
        vocabulary = [(piece.text, _score(piece)) for piece in spiece.pieces]
        tokenizer = Tokenizer(models.Unigram(vocabulary, spiece.unk_id, spiece.byte_fallback))
        tokenizer.normalizer = _normalizer(spiece, complete)
    except Exception as error:  # the Rust side raises bare Exception, and panics as other classes
        raise BundleError(f"{path}: not a usable SentencePiece model ({error}); {REMEDY}") from error
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.post_processor = _template(tokenizer, complete, path)
    tokenizer.add_special_tokens(_specials(tokenizer, complete))
    # Reading a tokenizer.json moves a score by its last bit, enough to turn a tie; once written and read, it stays.
    return Tokenizer.from_str(tokenizer.to_str()), complete


def _score(piece: Piece) -> float:
    ends_in_digit_comma = piece.text.endswith(",") and piece.text[-2:-1].isdigit()
    return piece.score - DIGIT_COMMA_PENALTY if ends_in_digit_comma else piece.score


def _normalizer(spiece: Spiece, settings: Mapping[str, Any]) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not settings["keep_accents"]:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if settings["do_lower_case"]:
        steps.append(normalizers.Lowercase())
    if spiece.charsmap:
        steps.append(normalizers.Precompiled(spiece.charsmap))
    return normalizers.Sequence(steps)


def _template(tokenizer: Tokenizer, settings: Mapping[str, Any], path: Path) -> processors.TemplateProcessing:
    ids: dict[str, int] = {}
    for role in ("cls_token", "sep_token"):
        token = token_text(settings[role])
        found = None if token is None else tokenizer.token_to_id(token)
        if token is None or found is None:
            raise BundleError(f"{path}: no piece {token!r} for {role}; name it in tokenizer_config.json, or {REMEDY}")
        ids[token] = found
    cls, sep = token_text(settings["cls_token"]), token_text(settings["sep_token"])
    return processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=list(ids.items()),
    )


def _specials(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> list[AddedToken]:
    """Return the special tokens the vocabulary has, in id order; one it lacks would get an id beyond the embeddings."""
    mask = token_text(settings["mask_token"])
    names = {token_text(settings[role]) for role in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")}
    ids = {name: tokenizer.token_to_id(name) for name in names if name is not None}
    known = sorted((i, name) for name, i in ids.items() if i is not None)
    return [AddedToken(name, lstrip=name == mask, normalized=False, special=True) for _, name in known]
