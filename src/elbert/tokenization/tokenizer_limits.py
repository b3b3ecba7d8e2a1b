"""Limits of a tokenizer from outside: how much longer it may make a text, and what it may put around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from elbert.errors import BundleError
from elbert.tokenization.bounded_encoding import list_parts, read_part

MAX_GROWTH = 64  # of a text by its normalizer; a Unicode ligature becomes 18 characters
MAX_REPLACEMENT = 1000  # characters
MAX_TYPE_ID = 255
REMEDY = "use the tokenizer files of the model"


def check_limits(tokenizer: Tokenizer, path: Path) -> None:
    """Check the normalizer and the template of a tokenizer; ``path`` names it in errors.

    Raises:
        BundleError: a limit is exceeded.
    """
    growth = 1.0
    for part in list_parts(read_part(tokenizer.normalizer), "normalizers"):
        growth *= _measure_growth(part, path)
        if growth > MAX_GROWTH:
            raise BundleError(f"{path}: its normalizer makes a text over {MAX_GROWTH} times as long; {REMEDY}")
    for part in list_parts(read_part(tokenizer.post_processor), "processors"):
        for name, texts in (("single", ["A"]), ("pair", ["A", "B"])):
            found = list(_list_texts(part.get(name, []))) if part["type"] == "TemplateProcessing" else texts
            if sorted(found) != texts:
                raise BundleError(
                    f"{path}: the template {name!r} of its post-processor has each text {len(found) / len(texts):g} "
                    f"times, expected once; {REMEDY}"
                )
    type_ids = [*tokenizer.encode("a").type_ids, *tokenizer.encode("a", "a").type_ids]
    if max(type_ids, default=0) > MAX_TYPE_ID:
        raise BundleError(f"{path}: its post-processor has type ids over {MAX_TYPE_ID}; {REMEDY}")


def _measure_growth(part: Mapping[str, Any], path: Path) -> float:
    content = part.get("content") or part.get("prepend") or ""
    if len(content) > MAX_REPLACEMENT:
        raise BundleError(f"{path}: its normalizer inserts {len(content):,} characters at a time; {REMEDY}")
    if part["type"] != "Replace":
        return 1.0
    plain = part["pattern"].get("String")
    return max(1.0, len(content) / len(plain)) if plain else 1.0 + len(content)


def _list_texts(template: Any) -> Iterator[str]:
    return (str(item["Sequence"]["id"]) for item in template if "Sequence" in item)
