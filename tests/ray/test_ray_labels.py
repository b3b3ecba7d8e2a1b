"""Labels in rows of a Ray dataset mean what they mean in files; prediction does not read them."""

import re
from collections import defaultdict

import pyarrow as pa
import pytest

from elbert.errors import BadRow
from elbert.evaluation import parse_target
from elbert.ray.dataset_files import read_rows
from elbert.tasks import TASKS
from label_table import as_example, decode, value_cases, write_file, write_parquet


def kind_of(value):
    """The type of a column that holds a value; None where there is none."""
    items = {type(item) for item in value} if isinstance(value, list) else set()
    return None if value is None or len(items) > 1 or items & {list, type(None)} else (type(value), *items)


def test_values_of_a_dataset_mean_the_same(cluster):
    cases = [(case, value) for case in value_cases() for value in case.values]
    by_kind = defaultdict(list)
    for number, (_, value) in enumerate(cases):
        if (kind := kind_of(value)) is not None:
            by_kind[kind].append({"number": number, "label": value})
    checked = 0
    for rows in by_kind.values():
        dataset = cluster.data.from_items(rows, override_num_blocks=1)
        (batch,) = dataset.iter_batches(batch_size=None, batch_format="numpy")
        found = [(row["number"], row["label"]) for row in dataset.take_all()]
        for number, label in [*found, *zip(batch["number"].tolist(), batch["label"], strict=True)]:
            case, checked = cases[number][0], checked + 1
            if not isinstance(case.meaning, str):
                target = parse_target(as_example(label), case.names, TASKS[case.problem])
                assert decode(target, case.names, case.problem) == case.meaning
                continue
            with pytest.raises(BadRow, match=re.escape(case.meaning)):
                parse_target(as_example(label), case.names, TASKS[case.problem])
    assert checked > 500


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("label", ["", "-100", "[", {"a": 1}, None])
def test_prediction_does_not_read_labels(tmp_path, form, label):
    path = write_file(form, tmp_path, [label])
    if path is not None:
        ((text, pair, _, bad),) = read_rows(path, None)
        assert (text, pair, bad) == ("a film", None, None)


def test_prediction_does_not_read_damaged_labels(tmp_path):
    path = tmp_path / "rows.parquet"
    write_parquet(path, pa.array([b"\xff"]).view(pa.string()))
    assert [row[3] for row in read_rows(str(path), None)] == [None]
