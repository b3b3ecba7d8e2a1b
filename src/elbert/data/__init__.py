"""Data files: rows of texts and labels, read one by one and checked."""

from __future__ import annotations

from elbert.data.examples import parts_of, read_examples
from elbert.data.labels import label_names, resolve_label, resolve_labels_multi, resolve_value
from elbert.data.parquet import Part
from elbert.data.records import Example, Label

__all__ = [
    "Example",
    "Label",
    "Part",
    "label_names",
    "parts_of",
    "read_examples",
    "resolve_label",
    "resolve_labels_multi",
    "resolve_value",
]
