import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_data_files import parquet, write

from elbert.data import (
    LabelSet,
    is_missing,
    read_examples,
    read_label_names,
    resolve_label,
    resolve_labels_multi,
    resolve_value,
)
from elbert.errors import BadRow, DataError, InputError
from elbert.evaluation import read_targets
from elbert.tasks import TASKS

NAMES = ["negative", "positive"]
STARS = ["1", "2", "3"]


@pytest.mark.parametrize(
    ("label", "names", "index"),
    [
        ("positive", NAMES, 1),
        ("1", NAMES, 1),
        (1, NAMES, 1),
        (0, NAMES, 0),
        (1.0, NAMES, 1),
        ("1.0", NAMES, 1),
        ("1", STARS, 0),
        (1, STARS, 0),
    ],
)
def test_a_label_is_a_name_or_an_index(label, names, index):
    assert resolve_label(label, names) == index


@pytest.mark.parametrize(
    "label", [True, None, 2, -1, "2", "-1", "Positive", "", 0.5, ["positive"], "٣", float("nan"), float("inf")]
)
def test_other_labels_are_rejected(label):
    with pytest.raises(InputError, match=r"expected one( of negative, positive|.* label)"):
        resolve_label(label, NAMES)


@pytest.mark.parametrize(
    ("label", "vector"),
    [
        (["a", "c"], [1, 0, 1]),
        ([1], [0, 1, 0]),
        ([], [0, 0, 0]),
        ("a;b", [1, 1, 0]),
        (" c ; 0 ", [1, 0, 1]),
        ("", [0, 0, 0]),
        ("b", [0, 1, 0]),
        (2, [0, 0, 1]),
    ],
)
def test_several_labels(label, vector):
    assert resolve_labels_multi(label, ["a", "b", "c"]) == vector


def test_a_name_may_hold_the_separator():
    assert resolve_labels_multi("a;b", ["a;b", "a"]) == [1, 0]


@pytest.mark.parametrize("label", [None, True, "a;x", [3], [0, 0], ["a", "0"], [True]])
def test_several_labels_rejected(label):
    with pytest.raises(InputError):
        resolve_labels_multi(label, ["a", "b", "c"])


@pytest.mark.parametrize(("label", "value"), [(3, 3.0), (2.5, 2.5), ("-1e3", -1000.0), (" 4 ", 4.0)])
def test_values(label, value):
    assert resolve_value(label) == value


@pytest.mark.parametrize("label", [None, True, "much", "", float("nan"), "inf", 10**400, [1.0]])
def test_values_rejected(label):
    with pytest.raises(InputError, match="finite number"):
        resolve_value(label)


def labelled(tmp_path, labels):
    lines = "".join(json.dumps({"text": "a", "label": label}) + "\n" for label in labels)
    return write(tmp_path, "a.jsonl", lines)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["pos", "neg", "pos"], ["neg", "pos"]),
        ([0, 2, 0], ["LABEL_0", "LABEL_1", "LABEL_2"]),
        (["0", "1"], ["LABEL_0", "LABEL_1"]),
        ([1.0, 0.0], ["LABEL_0", "LABEL_1"]),
    ],
)
def test_names_found_in_a_file(tmp_path, labels, names):
    assert read_label_names(labelled(tmp_path, labels)) == names


@pytest.mark.parametrize("labels", [[0, 1], ["0", "1"]])
def test_labels_json_beside_a_file_of_indices(tmp_path, labels):
    write(tmp_path, "labels.json", '["negative", "positive", "neither"]')
    assert read_label_names(labelled(tmp_path, labels)) == ["negative", "positive", "neither"]


def test_labels_json_beside_a_file_of_names_are_ignored(tmp_path):
    write(tmp_path, "labels.json", "not read")
    assert read_label_names(labelled(tmp_path, ["b", "a"])) == ["a", "b"]


def test_lists_of_several_labels(tmp_path):
    path = labelled(tmp_path, [["b"], ["a", "c"], []])
    assert read_label_names(path, multi=True) == ["a", "b", "c"]
    with pytest.raises(BadRow, match=r"a\.jsonl:1: expected one label, got the list \['b'\]"):
        read_label_names(path)


def test_cells_with_several_labels(tmp_path):
    path = write(tmp_path, "a.csv", "text,label\nx,b;a\ny,\nz,c\n")
    assert read_label_names(path, multi=True) == ["a", "b", "c"]


@pytest.mark.parametrize("content", ["{", '{"0": "a"}', "[1, 2]", '["a", "a"]', '["a"]'])
def test_a_labels_file_that_does_not_fit(tmp_path, content):
    write(tmp_path, "labels.json", content)
    with pytest.raises(DataError, match=r"labels\.json"):
        read_label_names(labelled(tmp_path, [0, 1]))


@pytest.mark.parametrize("labels", [[], ["a", 1], ["7", "seven"], [10**9]])
def test_labels_that_name_no_classes(tmp_path, labels):
    with pytest.raises(DataError, match="label"):
        read_label_names(labelled(tmp_path, labels))


def test_names_beside_a_file_of_codes_are_used(tmp_path):
    write(tmp_path, "labels.json", '["5411", "5812", "0742"]')
    assert read_label_names(labelled(tmp_path, [5812, "5411.0"])) == ["5411", "5812", "0742"]


def test_codes_allocate_no_classes(tmp_path):
    with pytest.raises(BadRow, match=r"a\.jsonl:2: label 999999999999 .* --labels=7,5411,9{12} or in labels.json"):
        read_label_names(labelled(tmp_path, [5411, 999_999_999_999, 7]))


def test_names_are_in_the_order_of_numbers_and_of_code_points(tmp_path):
    assert read_label_names(labelled(tmp_path, [f"{i}.0" for i in (10, 2, *range(12))]))[10] == "LABEL_10"
    names = ["b", "010", "009", "B", "0008", "class 10", "class 2"]
    assert read_label_names(labelled(tmp_path, names)) == ["0008", "009", "010", "B", "b", "class 10", "class 2"]


def test_a_matrix_is_one_as_a_whole(tmp_path):
    rows = [[1, 0, 0], [], [0, 1, 1], [0, 1]]
    with pytest.raises(BadRow, match=r"a\.jsonl:4: no 0/1 vector of 3 labels, but the label of line 1 is"):
        read_label_names(labelled(tmp_path, rows), multi=True)
    write(tmp_path, "labels.json", '["a", "b"]')
    with pytest.raises(DataError, match=r"labels\.json: names 2 labels, but .*a\.jsonl has 0/1 vectors of 3"):
        read_label_names(labelled(tmp_path, rows[:3]), multi=True)
    write(tmp_path, "labels.json", '["a", "b", "c"]')
    assert read_label_names(labelled(tmp_path, rows[:3]), multi=True) == ["a", "b", "c"]


def test_the_form_of_lists_is_that_of_the_file():
    two, one = LabelSet(["a", "b"]), LabelSet(["a"])
    assert two.find_form([[0, 1], [1, 0], []]) == "vectors"
    assert two.find_form([[0, 1], [1]]) == two.find_form([[0, 1], "a"]) == "lists"
    assert two.find_form([[0, 1], [1, 1]]) == two.find_form([["1"], [0, 0]]) == "vectors"
    assert (one.find_form([[0], [1]]), one.find_form([[0], "a"]), one.find_form([[0]])) == ("vectors", "lists", None)
    assert (two.read_several([0, 1], "vectors"), two.read_several([0, 1], "lists")) == ([0, 1], [1, 1])
    with pytest.raises(InputError, match="no 0/1 vector of 2 labels"):
        two.read_several([1], "vectors")
    for known, label in ((two, [1, 0]), (one, [0])):
        with pytest.raises(InputError, match="can be a 0/1 vector or a list of indices"):
            known.read_several(label)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["[", "a;b"])


@settings(max_examples=300, deadline=None)
@given(label=st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)))
def test_any_value_is_read_or_an_error_and_as_its_text_is(label):
    def outcomes(value):
        for read in (LabelSet(NAMES).read_class, LabelSet(NAMES).read_several, resolve_value):
            try:
                yield read(value)
            except InputError:
                yield "error"

    found = [*outcomes(label)]
    if not isinstance(label, dict | None):
        cell = label if isinstance(label, str) else str(label) if isinstance(label, float) else json.dumps(label)
        assert [*outcomes(cell)] == found


def test_a_name_that_cannot_be_written_is_an_error(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "a", "label": "a"}\n{"text": "a", "label": "\\ud800"}\n')
    with pytest.raises(BadRow, match=r"a\.jsonl:2: label .* holds a lone surrogate"):
        read_label_names(path)


def test_missing_labels():
    assert [is_missing(label) for label in (None, "", " ", float("nan"), "NaN")] == [True] * 5
    assert [is_missing(label) for label in (0, "0", [], False, {}, "none", "NA")] == [False] * 7


@pytest.mark.parametrize("label", [10**5000, [10**5000], b"a", {"a"}, object(), float], ids=type)
def test_values_of_no_label_are_errors(label):
    for read in (LabelSet(NAMES).read_class, LabelSet(NAMES).read_several, resolve_value):
        with pytest.raises(InputError, match="label"):
            read(label)


@pytest.mark.parametrize(
    "content",
    [
        b"text,label,label\na film,x,y\na plot,,\n",
        b"text,label\na film,\xff\na plot,[\n",
        b"label,text\n,a film\n-100,a plot\n",
    ],
)
@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_texts_are_read_without_labels(tmp_path, form, content):
    path = write(tmp_path, f"a.{form}", content.replace(b",", b"\t") if form == "tsv" else content)
    read = list(read_examples(path, labels=False))
    assert [(example.text, example.label) for example in read] == [("a film", None), ("a plot", None)]


def test_texts_of_parquet_are_read_without_labels(tmp_path):
    pa = pytest.importorskip("pyarrow")
    raw = pa.array([b"\xff", b"a"]).view(pa.string())
    dates = pa.array([1, 2], pa.timestamp("ns"))
    for column in (raw, dates, pa.array([{"a": 1}, None])):
        path = parquet(tmp_path, {"text": ["a film", "a plot"], "label": column})
        assert [example.text for example in read_examples(path, labels=False)] == ["a film", "a plot"]
        with pytest.raises(BadRow, match=r"rows\.parquet:1: "):
            read_targets(list(read_examples(path)), NAMES, TASKS["single_label_classification"])


@pytest.mark.parametrize("label", [None, 0.5, -1, ""])
def test_a_row_without_a_usable_label_is_named(tmp_path, label):
    with pytest.raises(BadRow, match=r"a\.jsonl:2: "):
        read_label_names(labelled(tmp_path, ["a", label]))
