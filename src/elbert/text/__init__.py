"""Text in: tokenising, and reading the data files that hold it."""

from __future__ import annotations

from elbert.text.columns import Part
from elbert.text.examples import parts_of, read_examples
from elbert.text.given import Text, checked
from elbert.text.label_names import label_names
from elbert.text.labels import resolve_label, resolve_labels_multi, resolve_value
from elbert.text.records import Example, Label
from elbert.text.tokenise import Tokeniser, Tokens

__all__ = [
    "Example",
    "Label",
    "Part",
    "Text",
    "Tokeniser",
    "Tokens",
    "checked",
    "label_names",
    "parts_of",
    "read_examples",
    "resolve_label",
    "resolve_labels_multi",
    "resolve_value",
]
