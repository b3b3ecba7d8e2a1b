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


DAMAGES = {
    "empty": lambda whole: b"",
    "cut in the header": lambda whole: whole[:40],
    "cut after the header": lambda whole: whole[:1000],
    "a quarter": lambda whole: whole[: len(whole) // 4],
    "half": lambda whole: whole[: len(whole) // 2],
    "without its last byte": lambda whole: whole[:-1],
    "without its digest": lambda whole: whole[: -build.DIGEST_SIZE],
    "zeros": lambda whole: bytes(len(whole)),
    "zeros from the middle": lambda whole: whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
    "one bit": lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
    "a digest of nothing": lambda whole: build.hashlib.sha256(b"").digest()[:-1],
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The compiled library in a cache of its own."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        assert not reason_with(patch, XDG_CACHE_HOME=str(cache))
    (file,) = (cache / "elbert").iterdir()
    return file


@needs_kernels
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_library_is_compiled_once_more_and_never_loaded(monkeypatch, kept, damage):
    """Loading it would end the process."""
    whole, compiled = kept.read_bytes(), []

    def compile_again(compiler, folder, name):
        compiled.append(name)
        (folder / "new").write_bytes(whole)
        (folder / "new").replace(folder / name)

    monkeypatch.setattr(build, "_compile", compile_again)
    kept.unlink()  # a new file: the old one is loaded, and writing into it would change this process
    kept.write_bytes(damage(whole))
    for _ in range(2):
        assert not reason_with(monkeypatch, XDG_CACHE_HOME=str(kept.parents[1]))
    assert compiled == [kept.name]
    assert kept.read_bytes() == whole


@needs_kernels
def test_a_whole_library_is_not_compiled_again(monkeypatch, kept):
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("compiled again"))
    assert not reason_with(monkeypatch, XDG_CACHE_HOME=str(kept.parents[1]))


@needs_kernels
def test_what_takes_the_place_of_the_library_is_a_reason(monkeypatch, kept, tmp_path):
    (tmp_path / "elbert").mkdir(mode=0o700)
    (tmp_path / "elbert" / kept.name).mkdir()
    (tmp_path / "elbert" / kept.name / "file").touch()
    assert "cannot be kept or loaded" in reason_with(monkeypatch, XDG_CACHE_HOME=str(tmp_path))
