"""--output: written atomically."""

import json
import os

import pytest

from elbert._atomic import open_atomic
from elbert.classifier import Classifier
from elbert.errors import InputError
from tiny import texts


@pytest.fixture
def place(tmp_path):
    """A folder of its own for the output, so that partial files are found."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "answers.jsonl"


def list_files(place):
    return sorted(file.name for file in place.parent.iterdir())


def test_the_file_holds_what_standard_output_would(predict, place):
    sentences = texts(20, seed=4)
    printed = predict(*sentences)
    result = predict(*sentences, "--output", place)
    assert (result.status, result.out) == (0, "")
    assert result.err.startswith(f"elbert: wrote {place}: 20 texts, mean depth ")
    assert result.err.count("\n") == 1
    ours, theirs = ([json.loads(x) for x in text.splitlines()] for text in (place.read_text(), printed.out))
    assert ours == theirs
    assert list_files(place) == ["answers.jsonl"]


def test_no_texts_make_an_empty_file(predict, place, tmp_path):
    (tmp_path / "empty.txt").touch()
    assert predict("--input", tmp_path / "empty.txt", "--output", place).status == 0
    assert place.read_text() == ""


def test_a_file_that_is_there_is_replaced(predict, place):
    place.write_text("before")
    predict("x", "--output", place)
    assert json.loads(place.read_text())["text"] == "x"


def test_a_link_stays_and_what_it_points_to_is_written(predict, place):
    place.symlink_to(place.parent / "real.jsonl")
    predict("x", "--output", place)
    assert place.is_symlink()
    assert json.loads((place.parent / "real.jsonl").read_text())["text"] == "x"


def test_a_bad_row_in_the_middle_leaves_nothing(predict, place, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_bytes(b"good film\n" * 5000 + b"\xff\n" + b"more\n" * 10)
    predict("--input", rows, "--output", place, "--policy", "depth(1)").check_error(f"{rows}:5001: not valid UTF-8")
    assert list_files(place) == []
    place.write_text("before")
    assert predict("--input", rows, "--output", place, "--policy", "depth(1)").status == 2
    assert (list_files(place), place.read_text()) == (["answers.jsonl"], "before")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "elbert: interrupted\n"),
        (BrokenPipeError(), 2, ""),
        (OSError(28, "No space left on device"), 2, "answers.jsonl: cannot be written (No space left on device)"),
    ],
    ids=["interrupt", "broken pipe", "full disk"],
)
def test_what_breaks_off_leaves_nothing(predict, place, monkeypatch, error, status, message):
    stream = Classifier.stream_results

    def breaks_off(self, sentences, *rest, **options):
        answers = stream(self, sentences, *rest, **options)
        yield next(answers)
        raise error

    monkeypatch.setattr(Classifier, "stream_results", breaks_off)
    result = predict("a", "b", "c", "--output", place)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert "Traceback" not in result.err
    assert list_files(place) == []


def test_an_error_of_ours_is_no_error_of_the_file(tmp_path):
    """A bug inside the block must come out as it is, and not as a file that cannot be written."""
    for error in (KeyError("bug"), FileNotFoundError(2, "gone", "another-file")):
        with pytest.raises(type(error)), open_atomic(tmp_path / "x") as out:
            out.write("half")
            raise error
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_take_its_place_is_reported(tmp_path):
    target = tmp_path / "x"
    with pytest.raises(InputError, match="cannot be written"), open_atomic(target) as out:
        out.write("text")
        target.mkdir()  # another process created it
        (target / "y").touch()
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_a_device_is_written_in_place(predict):
    result = predict("x", "--output", os.devnull)
    assert (result.status, result.out) == (0, "")
    assert not os.path.isfile(os.devnull)
