"""How the native code is built and chosen, and what happens where there is none."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from elbert.model import native
from elbert.model.native import bindings

ROOT = Path(__file__).parents[2]
FOUND = native.list_variants()
needs_library = pytest.mark.skipif(isinstance(FOUND, native.NoVariant), reason="no native code here")
WIDE = re.compile(r"%zmm|%k[0-7]\b|%tmm")  # registers that only AVX-512 and AMX have


def chosen(monkeypatch, value):
    monkeypatch.setenv("ELBERT_NATIVE", value)
    return native.load.__wrapped__()


@pytest.mark.parametrize("value", ["0", "off", " OFF "])
def test_switched_off(monkeypatch, value):
    assert "switched off by ELBERT_NATIVE" in chosen(monkeypatch, value).reason


@needs_library
def test_every_variant_that_runs_here_can_be_chosen(monkeypatch):
    for variant in FOUND:
        assert chosen(monkeypatch, variant.name) == variant
    assert chosen(monkeypatch, "") == FOUND[-1]


@needs_library
def test_an_unknown_variant_is_named_with_those_that_run(monkeypatch):
    reason = chosen(monkeypatch, "avx1024").reason
    assert "avx1024" in reason
    assert FOUND[0].name in reason


def test_no_library(monkeypatch, tmp_path):
    monkeypatch.setattr(bindings, "__file__", str(tmp_path / "bindings.py"))
    assert "no compiled library" in bindings.list_variants.__wrapped__().reason


def test_a_library_that_cannot_be_loaded(monkeypatch, tmp_path):
    (tmp_path / "elbert_native.bin").write_bytes(b"cut")
    monkeypatch.setattr(bindings, "__file__", str(tmp_path / "bindings.py"))
    assert "cannot be loaded" in bindings.list_variants.__wrapped__().reason


@needs_library
def test_the_command_line_names_the_variant():
    run = subprocess.run(
        [sys.executable, "-m", "elbert", "env"], capture_output=True, text=True, env=os.environ | {"ELBERT_NATIVE": ""}
    )
    assert re.search(rf"native code\s+{FOUND[-1].name}\b", run.stdout)


@pytest.fixture
def builder(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("ELBERT_TARGET", raising=False)
    monkeypatch.delenv("ELBERT_BUILD", raising=False)
    import hatch_build

    return hatch_build


def test_no_compiler(builder, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "ziglang", None)
    with pytest.raises(builder.CannotBuild, match="no C compiler"):
        builder.compile_library(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_fails(builder, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "false")
    with pytest.raises(builder.CannotBuild, match="false failed"):
        builder.compile_library(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_processor(builder, monkeypatch, tmp_path):
    monkeypatch.setattr(builder.platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(builder, "find_compiler", lambda: ["cc"])
    with pytest.raises(builder.CannotBuild, match="riscv64"):
        builder.compile_library(tmp_path)


def wide_registers(file):
    """How often code uses a register that only AVX-512 and AMX have."""
    return len(WIDE.findall(subprocess.run(["objdump", "-d", file], capture_output=True, text=True, check=True).stdout))


@needs_library
@pytest.mark.skipif(shutil.which("objdump") is None or FOUND[0].name != "avx2", reason="needs objdump on x86")
def test_old_processors_meet_no_new_instruction(builder, monkeypatch, tmp_path):
    """What is compiled for all processors, and the AVX2 variants, have no instruction of AVX-512."""
    if not builder.has_compiler():
        pytest.skip("no C compiler")
    sets = builder.VARIANTS["x86_64"]
    monkeypatch.setitem(builder.VARIANTS, "x86_64", {name: sets[name] for name in ("avx2", "avx2_vnni")})
    found = {file.stem: wide_registers(file) for file in builder.choose_toolchain().compile(tmp_path)}
    assert {"avx2", "avx2_vnni", "pool", "dispatch"} <= set(found)
    assert set(found.values()) == {0}
    (library,) = builder.SOURCE.glob("elbert_native.*")
    assert wide_registers(library) > 100, "the search finds what it looks for"


def hook(builder, target_name="wheel"):
    """The hook without the build system, which needs a project to make one."""
    fields = {"target_name": target_name, "dependencies": builder.CustomBuildHook.dependencies}
    return type("Hook", (), fields)()


@pytest.mark.parametrize(
    ("compilers", "environment", "needed"),
    [
        (["cc"], {}, False),
        ([], {}, True),
        ([], {"CC": "tcc"}, False),
        ([], {"ELBERT_BUILD": "pure"}, False),
        (["cc"], {"ELBERT_TARGET": "x86_64-windows-gnu"}, True),
    ],
)
def test_the_build_brings_a_compiler_where_there_is_none(builder, monkeypatch, compilers, environment, needed):
    monkeypatch.setattr(builder.shutil, "which", lambda name: name if name in compilers else None)
    monkeypatch.setattr(builder.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(builder.sys, "platform", "linux")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert hook(builder).dependencies() == ([builder.ZIG] if needed else [])


def test_no_compiler_is_required_where_the_index_has_none(builder, monkeypatch):
    monkeypatch.setattr(builder.shutil, "which", lambda _: None)
    monkeypatch.setattr(builder.platform, "machine", lambda: "riscv64")
    assert hook(builder).dependencies() == []
    assert hook(builder, "sdist").dependencies() == []


@pytest.mark.parametrize(
    ("name", "value"), [("ELBERT_BUILD", "fast"), ("ELBERT_TARGET", "x86_64-haiku"), ("ELBERT_TARGET", "=win_amd64")]
)
def test_an_unknown_value_is_refused_with_what_is_expected(builder, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(builder.CannotBuild, match=f"{name}: expected"):
        builder.read_environment()


def test_targets_have_tags(builder, monkeypatch):
    monkeypatch.setenv("ELBERT_TARGET", "aarch64-macos.11.0")
    assert builder.read_environment() == ("auto", "aarch64-macos.11.0", "macosx_11_0_arm64")
    monkeypatch.setenv("ELBERT_TARGET", "x86_64-linux-musl=musllinux_1_2_x86_64")
    assert builder.read_environment() == ("auto", "x86_64-linux-musl", "musllinux_1_2_x86_64")


@needs_library
def test_a_library_of_other_sources_is_not_called(monkeypatch):
    """After an update of an editable installation the structures may differ: wrong memory would be read."""

    class Longer(ctypes.Structure):
        _fields_ = (*bindings.LiveStruct._fields_, ("more", ctypes.c_int64))

    monkeypatch.setattr(bindings, "STRUCTS", (*bindings.STRUCTS[:5], Longer, bindings.STRUCTS[6]))
    found = bindings.list_variants.__wrapped__()
    assert isinstance(found, native.NoVariant)
    assert "another version" in found.reason
