"""Where native kernels are built and kept, and what happens where there can be none."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from elbert.model import native
from elbert.model.native import compiler as build

LOADED = native.load()
needs_kernels = pytest.mark.skipif(
    isinstance(LOADED, native.NoKernels), reason=f"no native kernels: {getattr(LOADED, 'reason', '')}"
)


def reason_with(monkeypatch, **environment):
    monkeypatch.delenv("ELBERT_NATIVE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    loaded = native.load.__wrapped__()
    return loaded.reason if isinstance(loaded, native.NoKernels) else ""


def test_switched_off(monkeypatch):
    assert "ELBERT_NATIVE=0" in reason_with(monkeypatch, ELBERT_NATIVE="0")


def test_an_old_cpu(monkeypatch):
    monkeypatch.setattr(build, "processor_flags", lambda: frozenset({"sse2"}))
    assert "lacks avx512bw" in reason_with(monkeypatch)


@needs_kernels
def test_no_compiler(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    assert "no C compiler" in reason_with(monkeypatch, PATH="/nonexistent")


@needs_kernels
def test_a_compiler_that_fails(monkeypatch):
    assert "failed" in reason_with(monkeypatch, CC="false")


@needs_kernels
def test_an_error_while_compiling(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-Dattend=!"))
    assert "error" in reason_with(monkeypatch, XDG_CACHE_HOME=str(tmp_path))


@needs_kernels
def test_a_folder_of_others_is_not_used(monkeypatch, tmp_path):
    (tmp_path / "elbert").mkdir()
    (tmp_path / "elbert").chmod(0o777)
    assert not reason_with(monkeypatch, XDG_CACHE_HOME=str(tmp_path))
    assert not list((tmp_path / "elbert").iterdir())


@needs_kernels
def test_a_broken_cache_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    assert not reason_with(monkeypatch, XDG_CACHE_HOME=str(tmp_path / "file"))


@needs_kernels
def test_built_by_several_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(native.load.__wrapped__) for _ in range(3)]
    assert all(isinstance(each.result(), native.Kernels) for each in made)
    assert [file.suffix for file in (tmp_path / "elbert").iterdir()] == [".so"]
    assert (tmp_path / "elbert").stat().st_mode & 0o777 == 0o700
