"""Data files: rows of texts and labels, read one by one and checked."""

from __future__ import annotations

from elbert.data.examples import list_parts, read_examples
from elbert.data.labels import read_label_names, resolve_label, resolve_labels_multi, resolve_value
from elbert.data.parquet import Part
from elbert.data.records import Example, Label

__all__ = [
    "Example",
    "Label",
    "Part",
    "list_parts",
    "read_examples",
    "read_label_names",
    "resolve_label",
    "resolve_labels_multi",
    "resolve_value",
]
