"""Model folders that are damaged or hostile: one line that names the file, no hang, no large allocation."""

import json
import os
import shutil
import struct
import subprocess
import sys

import pytest

from elbert.bundle import Bundle, OperatingPoint, add_point
from elbert.bundle.operating_points import read_points
from elbert.classifier import Classifier
from elbert.errors import BundleError
from elbert.exits import policy
from elbert.model.config import MAX_SIZES
from tiny import write_bundle

NAMES = {
    "escape sequence": "\x1b[2J",
    "line end": "a\nb",
    "lone surrogate": "\ud800",
    "bidirectional override": "a\u202eb",
    "empty": "",
    "spaces": " fast ",
    "too long": "a" * 65,
    "a policy": "depth(2)",
}


@pytest.fixture
def folder(bundle_folder, tmp_path):
    return shutil.copytree(bundle_folder, tmp_path / "model")


def check_rejected(folder, *parts):
    with pytest.raises(BundleError) as caught:
        Classifier.load(folder)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 1000
    for part in parts:
        assert str(part) in message


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in (config | values).items() if v is not ...}))


@pytest.mark.parametrize("name", sorted(MAX_SIZES))
@pytest.mark.parametrize("size", [10**9, 10**18, 10**400, 0, -1, 1.5, True, "x" * 10**6])
def test_every_size_of_a_config_is_bounded(folder, name, size):
    change_config(folder, **{name: size})
    if size == 10**400:  # more digits than Python converts
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text.replace(str(10**400), "9" * 5000))
    check_rejected(folder, "config.json")


def test_layer_groups_are_bounded_by_the_depths(folder):
    change_config(folder, num_hidden_groups=900)
    check_rejected(folder, "num_hidden_groups is 900", "num_hidden_layers")


LONG = "x" * 10**6


@pytest.mark.parametrize(
    "changes",
    [
        {"id2label": ..., "label2id": ..., "num_labels": 10**9},
        {"id2label": {str(i): f"label {i}" for i in range(100_001)}},
        {"id2label": {"0": "\ud800", "1": "b"}},
        {"id2label": {"0": LONG, "1": LONG}},
        {"hidden_act": LONG},
        {"problem_type": LONG},
        {"model_type": LONG},
        {"layer_norm_eps": LONG},
        {"pooling": LONG},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_other_values_of_a_config_are_bounded(folder, changes):
    change_config(folder, **changes)
    check_rejected(folder)


FILES = ["config.json", "exits.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX files")
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_are_opened(folder, file, kind):
    (folder / file).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / file)
    elif kind == "device":
        (folder / file).symlink_to("/dev/zero")
    else:
        (folder / file).mkdir()
    check_rejected(folder, file, "not a regular file")


@pytest.mark.parametrize("file", [name for name in FILES if name.endswith("json")])
def test_a_file_of_settings_is_bounded(folder, file):
    with (folder / file).open("ab") as out:
        out.truncate(300 << 20)  # a sparse file
    check_rejected(folder, file, "bytes, expected at most")


@pytest.mark.parametrize("file", [name for name in FILES if name.endswith("json")])
def test_half_of_a_surrogate_pair_is_refused_where_it_is_read(folder, file):
    """Python's json reads it as a character; tokenizers, safetensors and every output fail on it later."""
    values = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps({**values, "note": "a \ud83d b"}))
    check_rejected(folder, file)


def test_whole_surrogate_pairs_are_characters(folder):
    change_config(folder, note="a \U0001f600 b", id2label={"0": "\U0001f600", "1": "\\ud800"})
    assert "\\ud83d\\ude00" in (folder / "config.json").read_text()
    assert Classifier.load(folder).labels == ("\U0001f600", "\\ud800")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_of_a_foreign_operating_point_is_checked(folder, name):
    values = {"version": 1, "default": name, "points": {name: {"policy": "depth(1)"}}}
    (folder / "exits.json").write_text(json.dumps(values))
    check_rejected(folder, "exits.json", "operating point")


def test_the_number_of_points_is_bounded(folder):
    points = {f"p{i}": {"policy": "depth(1)"} for i in range(1001)}
    (folder / "exits.json").write_text(json.dumps({"version": 1, "default": None, "points": points}))
    check_rejected(folder, "exits.json", "1,001 points")


ADD_POINTS = """
import sys
from pathlib import Path
from elbert.bundle import OperatingPoint, add_point
from elbert.exits import policy
file, prefix = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()  # both begin at once
for number in range(15):
    add_point(file, f"{prefix}{number}", OperatingPoint(policy("depth(1)"), {"n": number}))
"""


def test_processes_that_add_points_at_once_keep_all(tmp_path):
    file = write_bundle(tmp_path / "model") / "exits.json"
    add_point(file, "before", OperatingPoint(policy("depth(2)")), default=True)
    command = [sys.executable, "-c", ADD_POINTS, str(file)]
    writers = [subprocess.Popen([*command, prefix], stdin=subprocess.PIPE) for prefix in "ab"]
    for writer in writers:
        writer.stdin.write(b"begin\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    points, default = read_points(file)
    assert set(points) == {"before"} | {f"{prefix}{number}" for prefix in "ab" for number in range(15)}
    assert default == "before"


@pytest.mark.parametrize("kind", ["\n", "\x1b[31m", "\u2028", "x" * 5000], ids=["line", "escape", "separator", "long"])
def test_an_error_of_another_library_is_one_line_whatever_it_quotes(tmp_path, kind):
    folder = write_bundle(tmp_path / "model")
    file = folder / "model.safetensors"
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    next(entry for name, entry in header.items() if name != "__metadata__")["dtype"] = kind
    changed = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(changed)) + changed + content[8 + length :])
    with pytest.raises(BundleError, match="not a readable safetensors file") as caught:
        Classifier.load(folder)
    assert str(caught.value).splitlines() == [str(caught.value)]
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_a_point_is_merged_with_what_the_file_holds_now(tmp_path):
    folder = write_bundle(tmp_path / "model")
    stale = Bundle.open(folder)
    file = folder / "exits.json"
    add_point(file, "one", OperatingPoint(policy("depth(1)"), {"accuracy": 0.5}))
    written = add_point(file, "one", OperatingPoint(policy("depth(1)"), {"speed": 2}), default=True)
    assert written.measured == {"accuracy": 0.5, "speed": 2}
    other = add_point(file, "one", OperatingPoint(policy("depth(2)"), {"speed": 3}))
    assert other.measured == {"speed": 3}
    assert (stale.points, read_points(file)) == ({}, ({"one": other}, "one"))
