"""The tokenizer of a page: the model's own files, if the page's script implements all of their parts."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from elbert.bundle import Bundle
from elbert.errors import InputError

KNOWN: Mapping[str, frozenset[str]] = {  # as in web/tokenizer/text_encoder.js; a test compares the two
    "normalizer": frozenset(
        {"BertNormalizer", "Lowercase", "NFKD", "Precompiled", "Replace", "Sequence", "StripAccents"}
    ),
    "pre-tokenizer": frozenset({"BertPreTokenizer", "Metaspace", "Sequence", "WhitespaceSplit"}),
    "model": frozenset({"Unigram", "WordPiece"}),
    "post-processor": frozenset({"TemplateProcessing"}),
}


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
    for kind, part in list_parts(json.loads(text)):
        if part not in KNOWN[kind]:
            raise InputError(
                f"{bundle.folder}: its tokenizer has the {kind} {part}, which a page cannot run "
                f"(known: {', '.join(sorted(KNOWN[kind]))}); use elbert predict or elbert serve"
            )
    return text, settings | {"model_max_length": tokeniser.max_length}


def list_parts(tokenizer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All parts of a ``tokenizer.json`` as ``(kind, type)``."""
    yield from list_kind("normalizer", tokenizer.get("normalizer"), "normalizers", optional=True)
    yield from list_kind("pre-tokenizer", tokenizer.get("pre_tokenizer"), "pretokenizers")
    yield from list_kind("model", tokenizer.get("model"), "")
    yield from list_kind("post-processor", tokenizer.get("post_processor"), "processors")


def list_kind(
    kind: str, settings: Mapping[str, Any] | None, inside: str, *, optional: bool = False
) -> Iterator[tuple[str, str]]:
    """A part as ``(kind, type)``, and the parts nested in it under ``inside``."""
    if settings is None:
        yield from [] if optional else [(kind, "none")]
        return
    yield kind, str(settings.get("type"))
    for one in settings.get(inside, []):
        yield from list_kind(kind, one, inside)
