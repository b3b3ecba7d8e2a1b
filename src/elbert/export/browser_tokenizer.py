"""The tokenizer of a page: the model's own files, if the page's script implements all of their parts."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from elbert.bundle import Bundle
from elbert.errors import InputError

KNOWN: Mapping[str, frozenset[str]] = {  # as in web/tokenizer; a test compares the two
    "normalizer": frozenset(
        {"BertNormalizer", "Lowercase", "NFKD", "Precompiled", "Replace", "Sequence", "StripAccents"}
    ),
    "pre-tokenizer": frozenset({"BertPreTokenizer", "Metaspace", "Sequence", "WhitespaceSplit"}),
    "model": frozenset({"Unigram", "WordPiece"}),
    "post-processor": frozenset({"TemplateProcessing"}),
    "decoder": frozenset({"Metaspace", "WordPiece"}),  # writes pieces as text; no decoder is possible too
}

REMEDY = "use elbert predict or elbert serve"


def read_page_tokenizer(bundle: Bundle) -> tuple[str, dict[str, Any]]:
    """The text of ``tokenizer.json`` and the settings in ``tokenizer_config.json``, as this library reads them.

    Both files are parsed and written again: then every language parses their numbers alike.

    Raises:
        BundleError: the folder's tokenizer cannot be used.
        InputError: the page's script does not implement one of its parts.
    """
    tokeniser = bundle.load_tokeniser()
    with tempfile.TemporaryDirectory() as place:
        tokeniser.save(Path(place))
        text = (Path(place) / "tokenizer.json").read_text(encoding="utf-8")
        settings = json.loads((Path(place) / "tokenizer_config.json").read_text(encoding="utf-8"))
    content = json.loads(text)
    config = bundle.config
    joins_pieces = config.task.per_token and config.aggregation == "simple"
    for kind, part in list_parts(content, joins_pieces=joins_pieces):
        if part not in KNOWN[kind]:
            raise InputError(
                f"{bundle.folder}: its tokenizer has the {kind} {part}, which a page cannot run "
                f"(known: {', '.join(sorted(KNOWN[kind]))}); {REMEDY}"
            )
    for found in list_unsupported(content, settings):
        raise InputError(f"{bundle.folder}: {found}, which a page cannot do; {REMEDY}")
    if "token_type_ids" not in settings["model_input_names"]:
        text = json.dumps(without_type_ids(content), ensure_ascii=False)
    return text, settings | {"model_max_length": tokeniser.max_length}


def list_unsupported(tokenizer: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    """What the page's script would do otherwise, or refuse, in the settings of parts that it has."""
    if settings["truncation_side"] != "right":
        yield f"its truncation_side is {settings['truncation_side']}"
    if settings.get("split_special_tokens"):
        yield "its split_special_tokens is true"
    for token in tokenizer.get("added_tokens", []):
        if token["normalized"] or token["single_word"]:
            yield f"its added token {token['content']!r} is matched in normalised text, or as a word"
    model = tokenizer["model"]
    if model["type"] == "Unigram" and (model.get("byte_fallback") or model.get("unk_id") is None):
        yield "its Unigram model has byte_fallback, or no unknown token"
    for part in nested_parts(tokenizer.get("normalizer"), "normalizers"):
        if part["type"] == "Replace" and part["pattern"] != {"Regex": " {2,}"} and not part["pattern"].get("String"):
            yield f"its normalizer Replace has the pattern {part['pattern']}"
    for part in nested_parts(tokenizer.get("pre_tokenizer"), "pretokenizers"):
        if part["type"] == "Metaspace" and (part["prepend_scheme"] != "always" or not part.get("split", True)):
            yield "its pre-tokenizer Metaspace puts no space before each word (add_prefix_space)"


def without_type_ids(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """The tokenizer with type 0 for every token: the model reads no type ids."""
    post = json.loads(json.dumps(tokenizer["post_processor"]))
    for form in ("single", "pair"):
        for item in post[form]:
            for part in item.values():
                part["type_id"] = 0
    return {**tokenizer, "post_processor": post}


def list_parts(tokenizer: Mapping[str, Any], *, joins_pieces: bool = False) -> Iterator[tuple[str, str]]:
    """All parts of a ``tokenizer.json`` that a page runs as ``(kind, type)``; with ``joins_pieces`` the decoder too."""
    yield from list_kind("normalizer", tokenizer.get("normalizer"), "normalizers", optional=True)
    yield from list_kind("pre-tokenizer", tokenizer.get("pre_tokenizer"), "pretokenizers")
    yield from list_kind("model", tokenizer.get("model"), "")
    yield from list_kind("post-processor", tokenizer.get("post_processor"), "processors")
    if joins_pieces:
        yield from list_kind("decoder", tokenizer.get("decoder"), "decoders", optional=True)


def list_kind(
    kind: str, settings: Mapping[str, Any] | None, inside: str, *, optional: bool = False
) -> Iterator[tuple[str, str]]:
    """A part as ``(kind, type)``, and the parts nested in it under ``inside``."""
    if settings is None:
        yield from [] if optional else [(kind, "none")]
        return
    yield from ((kind, str(part.get("type"))) for part in nested_parts(settings, inside))


def nested_parts(settings: Mapping[str, Any] | None, inside: str) -> Iterator[Mapping[str, Any]]:
    """A part and the parts nested in it."""
    if settings is not None:
        yield settings
        for one in settings.get(inside, []):
            yield from nested_parts(one, inside)
