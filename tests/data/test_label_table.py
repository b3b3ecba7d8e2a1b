"""Every line of the tables in ``docs/reference/labels.md``, in every format and in Python."""

import re

import pytest

from elbert.data import read_examples, read_label_names
from elbert.errors import BadRow, DataError, InputError
from elbert.evaluation import parse_target, read_targets, resolve_targets
from elbert.tasks import TASKS
from label_table import (
    FORMATS,
    arrow_columns,
    as_example,
    decode,
    file_cases,
    python_forms,
    value_cases,
    write_file,
    write_parquet,
)

VALUES, FILES = value_cases(), file_cases()


def read_meanings(examples, case):
    """The meaning of each row, from the entry that training and evaluation use."""
    _, targets = read_targets(examples, case.names, TASKS[case.problem])
    return tuple(decode(target, case.names, case.problem) for target in targets.values.tolist())


def check(path, case):
    """Check a file of one row, and return the reason where it is an error."""
    (example,) = read_examples(path)
    assert (example.source, example.line) == (path, 1 if path.endswith(("jsonl", "parquet")) else 2)
    return check_examples([example], case)


def check_examples(examples, case):
    if not isinstance(case.meaning, str):
        assert read_meanings(examples, case) == (case.meaning,)
        return None
    with pytest.raises(BadRow, match=re.escape(case.meaning)) as caught:
        read_meanings(examples, case)
    assert (caught.value.source, caught.value.line) == (examples[0].source, examples[0].line)
    return caught.value.why


def test_the_tables_are_there():
    assert sum(len(case.values) for case in VALUES) > 200 and len(FILES) > 30


@pytest.mark.parametrize("case", VALUES, ids=str)
def test_a_value_means_the_same_in_every_format(case, tmp_path):
    for value in case.values:
        paths = [write_file(form, tmp_path, [value]) for form in FORMATS]
        assert len({check(path, case) for path in paths if path}) == 1


@pytest.mark.parametrize("line", sorted({case.line for case in VALUES}))
def test_a_value_means_the_same_in_every_arrow_type(line, tmp_path):
    cases = [case for case in VALUES if case.line == line]
    path = tmp_path / "data.parquet"
    for column in [column for value in cases[0].values for column in arrow_columns(value)]:
        if write_parquet(path, column):
            examples = list(read_examples(str(path)))
            for case in cases:
                check_examples(examples, case)


@pytest.mark.parametrize("case", VALUES, ids=str)
def test_a_value_means_the_same_in_python(case):
    for form in [form for value in case.values for form in python_forms(value)]:
        if isinstance(case.meaning, str):
            with pytest.raises(InputError, match=r"labels\[0\]: .*" + re.escape(case.meaning)):
                resolve_targets([form], case.names, TASKS[case.problem])
            with pytest.raises(BadRow, match="here:1: .*" + re.escape(case.meaning)):
                parse_target(as_example(form), case.names, TASKS[case.problem])
        else:
            (target,) = resolve_targets([form], case.names, TASKS[case.problem]).values.tolist()
            assert decode(target, case.names, case.problem) == case.meaning
            assert parse_target(as_example(form), case.names, TASKS[case.problem]) == target


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", FILES, ids=str)
def test_label_names_are_the_same_in_every_format(form, case, tmp_path):
    path, multi = write_file(form, tmp_path, case.values), case.problem == "multi_label_classification"
    if path is None:
        pytest.skip("this format cannot hold these labels")
    if case.names is None:
        with pytest.raises(DataError, match=re.escape(case.meaning)) as caught:
            read_label_names(path, multi=multi)
        assert isinstance(caught.value, BadRow) and str(caught.value).startswith(f"{path}:{caught.value.line}: ")
    else:
        assert tuple(read_label_names(path, multi=multi)) == case.names
        assert read_meanings(list(read_examples(path)), case) == case.meaning


@pytest.mark.parametrize("case", [case for case in FILES if case.names is not None], ids=str)
def test_python_lists_are_read_as_files_are(case):
    targets = resolve_targets(list(case.values), case.names, TASKS[case.problem]).values.tolist()
    assert tuple(decode(target, case.names, case.problem) for target in targets) == case.meaning
