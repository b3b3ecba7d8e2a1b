"""Wheels from build to use: every platform's library, an installation of it, and one without a compiler."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "deploy")]  # the build hook and the check of wheels are no part of the package

TOOLS = ("hatchling", "lief", "ziglang")
MISSING = [name for name in TOOLS if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install them (make slow does)"),
]
SYSROOTS = {"aarch64": Path("/usr/aarch64-linux-gnu"), "x86_64": Path("/")}  # of Debian's libc6-arm64-cross
HOST = f"manylinux_2_28_{platform.machine()}"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
BUILD = (*PIP, "wheel", "-v", "--no-deps", "--no-build-isolation", "--wheel-dir")


def build(folder, **environment):
    done = subprocess.run(
        [*BUILD, folder, ROOT], capture_output=True, text=True, env=os.environ | environment, timeout=3000, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The wheels of a release; a minute with ziglang's cache, some minutes without."""
    import hatch_build

    folder = tmp_path_factory.mktemp("dist")
    for target in hatch_build.TARGETS:
        build(folder, ELBERT_BUILD="native", ELBERT_TARGET=target, CC="")
    build(folder, ELBERT_BUILD="pure")
    return folder


def wheel(folder, tag):
    (found,) = folder.glob(f"*-{tag}.whl")
    return found


def install(wheel, home):
    """An environment of its own with this wheel; its dependencies are those of this environment."""
    environment = home / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    target = ("--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    subprocess.run([*PIP, *target], check=True, capture_output=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment


def elbert(environment, *arguments, **variables):
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"ELBERT_NATIVE": ""}
    command = [environment / "bin" / "elbert", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=kept | variables, check=True).stdout


def test_every_wheel_is_what_its_tag_names(dist):
    from check_wheels import check_release

    found = dict(check_release(dist))
    assert len(found) == 5
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_a_wheel_of_another_platform_is_found_out(dist, tmp_path):
    from check_wheels import check_release

    tags = {"manylinux_2_28_aarch64": "manylinux_2_28_x86_64", "win_amd64": "macosx_11_0_arm64", "any": "win_amd64"}
    for real, false in tags.items():
        path = wheel(dist, real)
        shutil.copy(path, tmp_path / path.name.replace(real, false))
    found = dict(check_release(tmp_path))
    for false in tags.values():
        (name,) = (name for name in found if name.endswith(f"{false}.whl"))
        assert any("metadata contradicts" in fault for fault in found[name])
        assert any("expected code for" in fault or "format" in fault or "library" in fault for fault in found[name])
    assert found["manylinux_2_28_aarch64"] == ["expected one wheel, got 0"]


@pytest.mark.skipif(platform.system() != "Linux", reason="installs the wheel of a Linux platform")
def test_an_installed_wheel_runs_and_writes_nothing(dist, tmp_path):
    environment = install(wheel(dist, HOST), tmp_path)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    folders = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), str(fresh))
    facts = elbert(environment, "env", **folders)
    from elbert.model import native

    assert re.search(rf"native code\s+{native.list_variants()[-1].name}\b", facts)
    found = elbert(environment, "predict", "a fine film", HF_HUB_OFFLINE="1", **folders)
    assert "positive" in found.lower()
    assert not list(fresh.rglob("*"))


def test_a_pure_wheel_runs_on_torch_alone(dist, tmp_path):
    facts = elbert(install(wheel(dist, "any"), tmp_path), "env")
    assert re.search(r"native code\s+none\b.*no compiled library", facts)


def test_without_a_compiler_the_build_falls_back_with_one_line(tmp_path):
    printed = build(tmp_path, PATH="/nonexistent", CC="/nonexistent/cc", ELBERT_BUILD="auto", ELBERT_TARGET="")
    lines = [line for line in printed.splitlines() if "elbert runs without native code" in line]
    assert len(lines) == 1
    assert "/nonexistent/cc" in lines[0]
    assert [path.name.endswith("-py3-none-any.whl") for path in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize(
    ("tag", "machine", "model", "fastest"),
    [
        ("manylinux_2_28_aarch64", "aarch64", "cortex-a76", "neon_dot"),
        ("manylinux_2_28_aarch64", "aarch64", "max", "neon_bf16"),
        ("manylinux_2_28_x86_64", "x86_64", "Haswell", "avx2"),
        ("win_amd64", "windows", "this machine", None),
    ],
)
def test_the_library_of_a_wheel_loads_on_its_platform(dist, tmp_path, tag, machine, model, fastest):
    import hatch_build
    from emulation import DRIVER, emulated, run

    sysroot = SYSROOTS.get(machine, Path("/"))
    (target,) = (target for target, named in hatch_build.TARGETS.items() if named == tag)
    if not (sysroot / "lib").exists():
        pytest.skip(f"needs the C library in {sysroot}: Debian's libc6-arm64-cross")
    shutil.unpack_archive(wheel(dist, tag), tmp_path, "zip")
    (library,) = tmp_path.rglob("elbert_native.bin")
    driver, toolchain = tmp_path / "driver.exe", hatch_build.choose_toolchain(target)
    linked = tmp_path / ("wheel.dll" if machine == "windows" else "libwheel.so")  # a linker knows them by their names
    shutil.copy(library, linked)
    found = [str(linked)] if machine == "windows" else [f"-L{tmp_path}", "-lwheel", f"-Wl,-rpath,{tmp_path}"]
    command = [*toolchain.command, f"-I{hatch_build.SOURCE}", str(DRIVER), *found, "-o", str(driver)]
    hatch_build.run(command)
    shutil.copy(library, tmp_path)  # beside the program, where Windows looks for it
    command = emulated(machine, model, driver)
    lines = run(command if machine == "windows" else [command[0], "-L", str(sysroot), *command[1:]]).splitlines()
    running = [line.split()[0] for line in lines if line.split()[1] == "1"]
    assert running[-1] == fastest if fastest else "avx2" in running
