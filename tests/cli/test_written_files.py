"""Files that a command writes: whole or unchanged, private to one writer, and never over an input."""

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from elbert import _atomic
from elbert._atomic import check_not_input, open_atomic, write_files
from elbert.bundle.publishing import copy_model
from elbert.errors import InputError
from tiny import write_bundle

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


def write(path, text="new"):
    with open_atomic(Path(path)) as out:
        out.write(text)


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path):
    target = tmp_path / "x"
    with open_atomic(target) as first:
        first.write("first " * 1000)
        with open_atomic(target) as second:
            second.write("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first " * 1000
    assert os.listdir(tmp_path) == ["x"]


@posix
@pytest.mark.parametrize("planted", ["link", "pipe", "file"])
def test_what_waits_at_the_temporary_name_is_never_opened(tmp_path, monkeypatch, planted):
    monkeypatch.setattr(_atomic.secrets, "token_hex", lambda size: "guessed")
    target, other, waiting = tmp_path / "x", tmp_path / "precious", tmp_path / ".elbert-guessed.partial"
    other.write_text("precious")
    if planted == "link":
        waiting.symlink_to(other)
    elif planted == "pipe":
        os.mkfifo(waiting)
    else:
        waiting.write_text("precious")
    with pytest.raises(InputError, match="cannot be written"):
        write(target)
    assert other.read_text() == "precious"
    assert not target.exists()
    assert waiting.is_symlink() == (planted == "link")


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_replaced_file_keeps_its_permissions(tmp_path, mode):
    target = tmp_path / "x"
    target.write_text("before")
    target.chmod(mode)
    write(target)
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("new", mode)


@posix
def test_a_new_file_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_read_only_file_is_refused(tmp_path, monkeypatch):
    target = tmp_path / "x"
    target.write_text("keep")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the answer that a user other than root gets
    with pytest.raises(InputError, match="read-only"):
        write(target)
    assert target.read_text() == "keep"


def test_contents_are_on_disk_before_the_name_is_taken(tmp_path, monkeypatch):
    target, order = tmp_path / "x", []
    monkeypatch.setattr(os, "fsync", lambda file: order.append(("fsync", target.exists())))
    write(target)
    assert order == [("fsync", False)]


def test_long_names_have_a_temporary_file_too(tmp_path):
    target = tmp_path / ("é" * 127)
    write(target)
    assert target.read_text() == "new"


@posix
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("into", ["pipe", "file", "appended"])
def test_standard_output_by_name(tmp_path, path, into):
    if path.startswith("/proc") and not os.path.exists("/proc/self/fd"):
        pytest.skip("no /proc")
    if path == "link":
        path = tmp_path / "link"
        path.symlink_to("/dev/stdout")
    code = (
        "from pathlib import Path\nfrom elbert._atomic import open_atomic\n"
        f"with open_atomic(Path({str(path)!r})) as out:\n out.write('new')"
    )
    end = {"pipe": "| cat", "file": f"> {tmp_path}/out", "appended": f">> {tmp_path}/out"}[into]
    (tmp_path / "out").write_text("before ")
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {end}', sys.executable, code], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    written = done.stdout if into == "pipe" else (tmp_path / "out").read_text()
    assert written == ("before new" if into == "appended" else "new")


@posix
def test_process_substitution_and_named_pipes(tmp_path):
    reader, writer = os.pipe()
    write(f"/dev/fd/{writer}")
    os.close(writer)
    with os.fdopen(reader) as out:
        assert out.read() == "new"
    named = tmp_path / "named"
    os.mkfifo(named)
    with subprocess.Popen(["cat", named], stdout=subprocess.PIPE, text=True) as cat:
        write(named)
        assert cat.communicate(timeout=60)[0] == "new"
    assert stat.S_ISFIFO(named.stat().st_mode)


@posix
@pytest.mark.parametrize("path", ["/dev/fd/999", "/dev/full"])
def test_a_descriptor_or_device_that_takes_nothing_is_named(path):
    if not os.path.exists(os.path.dirname(path)) or (path == "/dev/full" and not os.path.exists(path)):
        pytest.skip("no such device here")
    with pytest.raises(InputError, match=f"{path}: cannot be written"):
        write(path, "new" * 10_000)


def test_a_full_disk_ends_a_copy_of_a_model_with_the_reason_alone(tmp_path, monkeypatch):
    model = write_bundle(tmp_path / "model")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.onnx").write_bytes(b"weights")

    def fail(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(source), None, os.fspath(target))

    copy_model(model, tmp_path / "copy")
    assert (tmp_path / "copy" / "onnx" / "model.onnx").read_bytes() == b"weights"
    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(InputError) as caught:
        copy_model(model, tmp_path / "second")
    reason = (
        f"cannot be written ({os.strerror(errno.ENOSPC)}); check the folder, its permissions and the free disk space"
    )
    assert str(caught.value) == f"{tmp_path / 'second'}: {reason}"
    assert sorted(os.listdir(tmp_path)) == ["copy", "model"]


def test_a_link_to_itself_is_one_clear_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "a")


@pytest.mark.parametrize("form", ["same", "relative", "symbolic link", "hard link"])
def test_an_output_is_no_input(tmp_path, monkeypatch, form):
    data = tmp_path / "data.csv"
    data.write_text("text\na\n")
    output = tmp_path / "out.csv"
    if form == "same":
        output = data
    elif form == "relative":
        monkeypatch.chdir(tmp_path)
        output = Path("./data.csv")
    elif form == "symbolic link":
        output.symlink_to(data)
    else:
        output.hardlink_to(data)
    with pytest.raises(InputError, match="is also an input"):
        check_not_input(output, [None, "-", "no such file", data])
    check_not_input(tmp_path / "other.csv", [data])


@pytest.fixture
def model(tmp_path):
    return write_bundle(tmp_path / "model")


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text('{"text": "good film", "label": 1}\n{"text": "bad film", "label": 0}\n' * 20)
    return file


@pytest.mark.parametrize("full_after", range(3))
@pytest.mark.parametrize("exists", [False, True])
def test_files_that_belong_together_are_written_all_or_none(tmp_path, monkeypatch, full_after, exists):
    folder, left = tmp_path / "above" / "page", full_after
    contents = {"index.html": b"new", "onnx/model.onnx": b"new", "runtime/wasm.js": b"new"}
    if exists:
        write_files(folder, {"index.html": b"old"})
    before = sorted(tmp_path.rglob("*"))

    def fill_disk(descriptor, sync=os.fsync):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill_disk)
        with pytest.raises(InputError, match=f"{list(contents)[full_after]}: cannot be written"):
            write_files(folder, contents)
    assert sorted(tmp_path.rglob("*")) == before
    assert not exists or (folder / "index.html").read_bytes() == b"old"
    write_files(folder, contents)
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == set(contents)
    assert all((folder / name).read_bytes() == b"new" for name in contents)


@pytest.mark.parametrize("name", ["new/", "new.npz/", "", "."])
def test_a_path_that_names_a_folder_is_no_file_in_python_either(model, tmp_path, monkeypatch, name):
    pytest.importorskip("onnx")
    from elbert.export import export

    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir())
    with pytest.raises(InputError, match="a folder; expected the name of a file"), open_atomic(name):
        pass
    with pytest.raises(InputError, match="a folder; expected the name of a file"):
        export(model, None, name)
    assert sorted(os.listdir()) == before


@posix
def test_no_command_replaces_its_data_or_its_model(elbert, model, data, tmp_path):
    """Every command that writes files, with an output that is an input by name or by link."""
    link = tmp_path / "out"
    link.mkdir()
    for name in ("policies.csv", "page.html", "outputs.npz"):
        (link / name).symlink_to(data)
    runs = [
        ("predict", "--input", data, "--output", data),
        ("explain", "--data", data, "--output", link / "page.html"),
        ("evaluate", "--data", data, "--outputs", link / "outputs.npz"),
        ("compare", "--data", data, "--output", link),
        ("export", "--output", link / "model.onnx"),
    ]
    (link / "model.onnx").symlink_to(model / "model.safetensors")
    before = {file: file.read_bytes() for file in [data, *model.iterdir()]}
    for command, *arguments in runs:
        result = elbert(command, *arguments, "--model", model)
        result.check_error("is also an input")
    assert {file: file.read_bytes() for file in [data, *model.iterdir()]} == before


@posix
def test_a_page_is_not_written_into_the_model_folder(model):
    pytest.importorskip("onnx")
    from elbert.export.browser import write_page

    before = {file: file.read_bytes() for file in model.iterdir()}
    with pytest.raises(InputError, match=r"is also an input|onnxruntime-web"):
        write_page(model, None, model)
    assert {file: file.read_bytes() for file in model.iterdir()} == before


FILE_FLAGS = {  # every flag that names a file to write, with a complete command
    "predict --output": ("good film",),
    "rank --output": ("good film", "--query", "good"),
    "explain --output": ("good film",),
    "evaluate --outputs": ("--data", "data.jsonl"),
    "export --output": (),
}
FOLDER_FLAGS = {
    "compare --output": ("--data", "data.jsonl"),
    "calibrate --output": ("--data", "data.jsonl", "--name", "p"),
    "export --page": (),
    "train --output": ("--train", "data.jsonl", "--validation", "data.jsonl", "--model", "bundled"),
}


@pytest.mark.parametrize("flag", FILE_FLAGS)
def test_a_name_that_is_no_file_is_refused_before_anything_runs(elbert, data, tmp_path, monkeypatch, flag):
    monkeypatch.chdir(tmp_path)
    command, option = flag.split()
    for name, message in {
        "new/": "a folder; expected the name of a file",
        "new.html/": "a folder; expected the name of a file",
        "": "a folder; expected the name of a file",
        ".": "a folder; expected the name of a file",
        "missing/out.html": "this folder does not exist; create it first",
        "data.jsonl/out.npz": "this folder does not exist; create it first",
    }.items():
        elbert(command, *FILE_FLAGS[flag], option, name).check_error(f"{option}: {name}", message)
    assert os.listdir() == ["data.jsonl"]


@pytest.mark.parametrize("flag", FOLDER_FLAGS)
def test_a_name_that_is_no_folder_is_refused_before_anything_runs(elbert, data, tmp_path, monkeypatch, flag):
    monkeypatch.chdir(tmp_path)
    command, option = flag.split()
    for name in ("data.jsonl", "data.jsonl/", "data.jsonl/below/it", ""):
        elbert(command, *FOLDER_FLAGS[flag], option, name).check_error(option, "expected the name of a folder")
    assert os.listdir() == ["data.jsonl"]
