import json

import pytest
from test_data_files import write

from elbert.data import read_label_names, resolve_label, resolve_labels_multi, resolve_value
from elbert.errors import BadRow, DataError, InputError

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
        ("1", STARS, 0),
        (1, STARS, 0),
    ],
)
def test_a_label_is_a_name_or_an_index(label, names, index):
    assert resolve_label(label, names) == index


@pytest.mark.parametrize(
    "label", [True, None, 2, -1, "2", "-1", "Positive", "", 0.5, ["positive"], "1.0", "٣", float("nan"), float("inf")]
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
        (["7", "seven"], ["7", "seven"]),
        ([["b"], ["a", "c"], []], ["a", "b", "c"]),
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


def test_cells_with_several_labels(tmp_path):
    path = write(tmp_path, "a.csv", "text,label\nx,b;a\ny,\nz,c\n")
    assert read_label_names(path, multi=True) == ["a", "b", "c"]


@pytest.mark.parametrize("content", ["{", '{"0": "a"}', "[1, 2]", '["a", "a"]', '["a"]'])
def test_a_labels_file_that_does_not_fit(tmp_path, content):
    write(tmp_path, "labels.json", content)
    with pytest.raises(DataError, match=r"labels\.json"):
        read_label_names(labelled(tmp_path, [0, 1]))


@pytest.mark.parametrize("labels", [[], ["a", 1], [10**9]])
def test_labels_that_name_no_classes(tmp_path, labels):
    with pytest.raises(DataError, match="label"):
        read_label_names(labelled(tmp_path, labels))


@pytest.mark.parametrize("label", [None, 0.5, -1, ""])
def test_a_row_without_a_usable_label_is_named(tmp_path, label):
    with pytest.raises(BadRow, match=r"a\.jsonl:2: "):
        read_label_names(labelled(tmp_path, ["a", label]))
