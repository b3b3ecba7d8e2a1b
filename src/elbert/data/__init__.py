"""Data files: rows of texts and labels, read one by one and checked."""

from __future__ import annotations

from elbert.data.column_names import DEFAULT_COLUMNS, Columns
from elbert.data.examples import check_records, has_pairs, list_parts, read_examples
from elbert.data.in_memory import class_names, iterate_examples, make_reusable
from elbert.data.label_names import read_label_names, read_tag_names
from elbert.data.labels import Form, LabelSet, is_missing, resolve_label, resolve_labels_multi, resolve_value
from elbert.data.parquet import Part, read_column_types
from elbert.data.query_lists import QueryList, is_list_file, read_query_lists
from elbert.data.records import Example, Record, SkipBad, ignore_bad

__all__ = [
    "DEFAULT_COLUMNS",
    "Columns",
    "Example",
    "Form",
    "LabelSet",
    "Part",
    "QueryList",
    "Record",
    "SkipBad",
    "check_records",
    "class_names",
    "ignore_bad",
    "is_list_file",
    "is_missing",
    "iterate_examples",
    "has_pairs",
    "list_parts",
    "make_reusable",
    "read_column_types",
    "read_examples",
    "read_label_names",
    "read_query_lists",
    "read_tag_names",
    "resolve_label",
    "resolve_labels_multi",
    "resolve_value",
]
