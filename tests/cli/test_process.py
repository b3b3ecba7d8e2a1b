"""What only a process of its own can show: pipes, terminals, signals, memory, imports."""

import errno
import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from tiny import texts

COMMAND = [sys.executable, "-m", "elbert.cli.main"]
FULL_DISK = "/dev/full"
NOT_UTF8 = "not valid UTF-8 (byte 0xff at position 0); save the file as UTF-8; --skip-bad leaves such rows out"


@pytest.fixture(scope="session")
def long_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("long") / "texts.txt"
    file.write_text("".join(f"{line}\n" for line in texts(3000, longest=4)))
    return file


def test_a_closed_pipe_is_no_error(bundle_folder, long_file):
    command = [*COMMAND, "predict", "--input", long_file, "--model", bundle_folder, "--policy", "depth(1)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert json.loads(child.stdout.readline())["depth"] == 1
        child.stdout.close()
        assert child.stderr.read() == ""
    assert child.returncode == 2


def test_an_error_after_the_pipe_is_closed_is_printed_once(bundle_folder, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_bytes(b"\xff\n")
    command = [*COMMAND, "predict", "--input", rows, "--model", bundle_folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        child.stdout.close()
        errors = child.stderr.read()
    assert (child.returncode, errors) == (2, f"elbert: error: {rows}:1: {NOT_UTF8}\n")


def test_a_line_is_answered_before_the_next_one_comes(bundle_folder):
    command = [*COMMAND, "predict", "--input", "-", "--model", bundle_folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        for line in ("good film", "bad plot", ""):
            child.stdin.write(f"{line}\n")
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["text"] == line
        child.stdin.close()
    assert child.returncode == 0


def test_answers_before_a_bad_row_are_written(bundle_folder, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_bytes(b"good film\n" * 70 + b"\xff\n" + b"bad plot\n" * 3000)
    command = [*COMMAND, "predict", "--input", rows, "--model", bundle_folder, "--policy", "depth(1)"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("\n")) == (2, 70)
    assert done.stderr == f"elbert: error: {rows}:71: {NOT_UTF8}\n"


@pytest.mark.skipif(not os.path.exists(FULL_DISK), reason="no /dev/full here")
def test_a_full_disk_gives_one_line(bundle_folder):
    with open(FULL_DISK, "w") as full:
        done = subprocess.run(
            [*COMMAND, "predict", "x", "--model", bundle_folder], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (2, "elbert: error: standard output: No space left on device\n")


def test_neither_bars_nor_colours_where_no_terminal_is(process, bundle_folder, long_file, tmp_path):
    arguments = ["predict", "--input", long_file, "--model", bundle_folder, "--policy", "depth(1)"]
    result = process(*arguments, "--output", tmp_path / "answers.jsonl", env=os.environ | {"FORCE_COLOR": "1"})
    assert (result.status, result.out) == (0, "")
    assert result.err.startswith(f"elbert: wrote {tmp_path / 'answers.jsonl'}: 3,000 texts, mean depth 1.00 of 6")
    assert result.err.count("\n") == 1
    assert (tmp_path / "answers.jsonl").read_text().count("\n") == 3000


def test_json_is_utf8_whatever_the_locale(process, bundle_folder):
    result = process(
        "predict", "é 漢", "--model", bundle_folder, encoding="utf-8", env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert (result.status, result.err) == (0, "")
    assert json.loads(result.out)["text"] == "é 漢"
    assert "é 漢" in result.out


def on_a_terminal(*arguments):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=theirs, stderr=subprocess.PIPE) as child:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError as error:
                assert error.errno == errno.EIO  # how Linux says that the other end is closed
                break
            if not part:
                break
            written += part
        errors = child.stderr.read()
    os.close(ours)
    assert (child.returncode, errors) == (0, b"")
    return written.decode().replace("\r\n", "\n").splitlines()


def test_a_terminal_gets_a_table(bundle_folder):
    head, row, total = on_a_terminal("predict", "a good film", "--model", bundle_folder)
    assert head.startswith("label ")
    assert row.endswith("a good film")
    assert total.startswith("1 text, mean depth 6.00 of 6")
    (line,) = on_a_terminal("predict", "a good film", "--model", bundle_folder, "--json")
    assert json.loads(line)["text"] == "a good film"


@pytest.fixture
def started(bundle_folder, tmp_path):
    """A command that has opened its output and waits for more input, and the folder of that output."""
    place = tmp_path / "out"
    place.mkdir()
    command = [*COMMAND, "predict", "--input", "-", "--model", bundle_folder, "--output", place / "answers.jsonl"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdin.write(b"good film\n" * 10)
        child.stdin.flush()
        until = time.monotonic() + 60
        while not list(place.iterdir()) and time.monotonic() < until:
            time.sleep(0.02)
        try:
            yield child, place
        finally:
            child.kill()


def names(place):
    return [file.name for file in place.iterdir()]


def test_an_interrupt_leaves_nothing(started):
    child, place = started
    (partial,) = names(place)
    assert partial.startswith(".elbert-") and partial.endswith(".partial")
    time.sleep(0.2)  # it is reading by now
    child.send_signal(signal.SIGINT)
    assert (child.wait(30), child.stderr.read()) == (130, b"elbert: interrupted\n")
    assert names(place) == []


def test_a_kill_leaves_only_a_partial(started):
    child, place = started
    child.kill()
    assert child.wait(30) == -signal.SIGKILL
    (partial,) = names(place)
    assert partial.startswith(".elbert-") and partial.endswith(".partial")


def test_closed_streams_are_ignored(bundle_folder):
    command = " ".join(map(str, [*COMMAND, "predict", "x", "--model", bundle_folder]))
    done = subprocess.run(["sh", "-c", f"{command} >&-"], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_and_import_are_light():
    """Neither loads what takes seconds; a shell completes and a reader reads without torch."""
    watch = """
import sys
import elbert
elbert.__all__, dir(elbert), elbert.ElbertError, elbert.__version__
from elbert.cli.main import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code
heavy = {"torch", "transformers", "numpy", "pyarrow", "sklearn", "tokenizers", "rich"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


def test_train_refuses_a_wrong_column_before_it_loads_what_takes_seconds(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("review,label\ngood,yes\n")
    watch = """
import sys
from elbert.cli.main import main
status = main(sys.argv[1:])
heavy = {"torch", "transformers", "accelerate", "sklearn"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else status)
"""
    arguments = ["train", "--model", "bundled", "--train", file, "--output", tmp_path / "model"]
    done = subprocess.run([sys.executable, "-c", watch, *map(str, arguments)], capture_output=True, text=True)
    assert done.stderr.startswith(f"elbert: error: {file}: no column named text; columns found: review, label")
    assert (done.stderr.count("\n"), done.returncode) == (1, 2)


PEAK = """
import resource, sys
from elbert.cli.main import main
status = main(sys.argv[1:])
sys.stderr.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}")
sys.exit(status)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_input(bundle_folder, tmp_path):
    sentences = texts(20_000, longest=5)
    peak = {}
    for times in (1, 10):
        file = tmp_path / f"{times}.txt"
        file.write_text("".join(f"{line}\n" for line in sentences) * times)
        arguments = ["predict", "--input", file, "--model", bundle_folder, "--policy", "depth(1)", "--scores"]
        output = ["--output", tmp_path / f"{times}.jsonl"]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *map(str, arguments + output)], capture_output=True, text=True
        )
        assert done.returncode == 0
        assert (tmp_path / f"{times}.jsonl").read_text().count("\n") == 20_000 * times
        peak[times] = int(done.stderr)
    assert peak[10] - peak[1] < 40_000  # KiB; the predictions alone would take ten times as much
