"""Writers of predictions as csv and parquet files: one column for each value, kept columns first."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from elbert._display import quote_error
from elbert.cli.render.prediction_writers import Summary, Writer
from elbert.errors import DataError, InputError

if TYPE_CHECKING:
    from elbert.data import Example
    from elbert.prediction import Prediction

GROUP_ROWS = 4096  # of a parquet file, at most
SPREADSHEET = ',;\t|"'  # delimiters and quotes of all readers
TYPES = {"score": float, "depth": int, "depths": int, "truncated": bool, "windows": int, "windows_read": int}


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table of predictions.

    ``kept`` has the name in the table of each column that is kept, ``texts`` of ``text`` and, where there are pairs,
    ``text_pair``; ``values`` are those of a prediction.
    """

    kept: Mapping[str, str]
    texts: Mapping[str, str]
    values: tuple[str, ...]

    @classmethod
    def build(
        cls,
        labels: Sequence[str],
        *,
        words: bool,
        scores: bool,
        trace: bool,
        keep: Sequence[str],
        texts: Sequence[str] = ("text", "text_pair"),
        windows: bool = False,
    ) -> TableColumns:
        """Return the columns of a model's predictions.

        ``words`` is whether it labels words, ``windows`` whether long texts are read in windows; ``texts`` are the
        input's columns of the text and, where there are pairs, of the second text.

        Raises:
            InputError: two columns would have one name.
        """
        values = [*(("entities",) if words else ("label", "score"))]
        values += ["depth", "depths", "reason", "truncated", *(("windows", "windows_read") if windows else ())]
        if scores:
            values += ["words"] if words else [f"score_{label}" for label in labels]
        values += ["trace"] if trace else []
        named = dict(zip(("text", "text_pair"), name_kept(texts, values).values(), strict=False))
        kept = name_kept(keep, [*named.values(), *values])
        names = [*kept.values(), *named.values(), *values]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"the output would have two columns {twice!r:.80}; leave one out of --keep, or --scores")
        return cls(kept, named, tuple(values))

    @property
    def names(self) -> list[str]:
        """All names, in order."""
        return [*self.kept.values(), *self.texts.values(), *self.values]

    def read_row(self, example: Example, prediction: Prediction) -> list[Any]:
        """Return the values of a row; those that are lists or objects as JSON texts.

        Raises:
            DataError: it has a second text, and the table has no column for it.
        """
        if example.text_pair is not None and "text_pair" not in self.texts:
            raise DataError(
                f"{example.source}:{example.line}: a second text, and the first row has none; "
                "name its column: --text-pair-column text_pair"
            )
        values = prediction.to_dict()
        values |= {f"score_{label}": score for label, score in values.get("scores", {}).items()}
        found = [values.get(name) for name in self.values]
        kept = [(example.kept or {}).get(name) for name in self.kept]
        texts = [getattr(example, name) for name in self.texts]
        return [*kept, *texts, *(to_text(value) if isinstance(value, list | dict) else value for value in found)]


def name_kept(keep: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    """Return the name in the output of each kept column: ``input_NAME`` where a prediction has a value of that name."""
    return {name: f"input_{name}" if name in values else name for name in keep}


def to_text(value: object) -> str:
    """Return a value as text: that of a string unchanged, of others as JSON, of dates as ISO 8601."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


class TableFile(Writer):
    """Writes a table with a fixed set of columns."""

    def __init__(self, out: IO[Any], columns: TableColumns) -> None:
        super().__init__(out)
        self.columns = columns

    def write(self, example: Example, prediction: Prediction) -> None:
        """Write one row."""
        self.write_row(self.columns.read_row(example, prediction))

    @abstractmethod
    def write_row(self, row: list[Any]) -> None:
        """Write the values of one row."""


class CsvFile(TableFile):
    """Writes comma-separated lines as RFC 4180 has them, with ``\\n`` at the end of each.

    A field is quoted where it holds a delimiter or quote of any kind, a character that is not printable, or space at
    its ends, so that a reader with other rules finds the same fields. An empty text is ``""``, and null is empty.
    """

    def __init__(self, out: IO[str], columns: TableColumns) -> None:
        super().__init__(out, columns)
        self.write_row(self.columns.names)

    def write_row(self, row: list[Any]) -> None:
        """Write one line."""
        self.out.write(",".join(map(self._to_field, row)) + "\n")

    def end(self, summary: Summary) -> None:
        """Write nothing: every line is a row."""

    @staticmethod
    def _to_field(value: object) -> str:
        if value is None:
            return ""
        text = to_text(value)
        is_plain = text.isprintable() and text.strip() == text != "" and not any(c in text for c in SPREADSHEET)
        return text if is_plain else '"' + text.replace('"', '""') + '"'


class ParquetFile(TableFile):
    """Writes a parquet file in groups of rows; ``kept_types`` has the type of each kept column, by default a text."""

    def __init__(self, out: IO[bytes], columns: TableColumns, kept_types: Mapping[str, Any]) -> None:
        super().__init__(out, columns)
        import pyarrow as pa
        from pyarrow import parquet

        kinds = {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
        fields = [(new, kept_types.get(name, pa.string())) for name, new in columns.kept.items()]
        fields += [(name, pa.string()) for name in columns.texts.values()]
        for name in columns.values:
            kind = float if name.startswith("score_") else TYPES.get(name, str)
            fields.append((name, kinds.get(kind, pa.string())))
        self.are_texts = [name not in kept_types for name in columns.kept]
        self.schema = pa.schema(fields)
        self.file = parquet.ParquetWriter(out, self.schema)
        self.rows: list[list[Any]] = []

    def write_row(self, row: list[Any]) -> None:
        """Keep a row until its group is complete."""
        for number, is_text in enumerate(self.are_texts):
            if is_text and row[number] is not None:
                row[number] = to_text(row[number])
        self.rows.append(row)
        if len(self.rows) == GROUP_ROWS:
            self._write_group()

    def end(self, summary: Summary) -> None:
        """Write the last group and the end of the file."""
        self._write_group()
        self.file.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.schema)
        try:
            arrays = [pa.array(values, kind) for values, kind in zip(columns, self.schema.types, strict=True)]
        except pa.ArrowException as error:
            raise DataError(
                f"a column of --keep cannot be written as parquet ({quote_error(error)}); name a .csv"
            ) from error
        self.file.write_table(pa.table(arrays, schema=self.schema))
        self.rows = []
