"""Native code compiled with the compiler's sanitizers: memory that is not its own, undefined arithmetic, data races."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {
    "address,undefined": ["tests/engine/test_refilling.py", "tests/model"],
    "thread": ["tests/engine/test_refilling.py"],
}
LIBRARIES = {"address,undefined": ["libasan.so", "libubsan.so"], "thread": ["libtsan.so"]}
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:detect_odr_violation=0",  # Python itself frees little at its end
    "UBSAN_OPTIONS": "halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}
LINES = 40
LOADED = "from elbert.model.native import bindings as b; print(b.__file__, isinstance(b.load(), b.Variant))"

pytestmark = pytest.mark.slow


def find_libraries(names):
    """The paths of the sanitizers' libraries, which Python has to load first; None where gcc has none."""
    if not shutil.which("gcc") or not sys.platform.startswith("linux"):
        return None
    found = [subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip() for name in names]
    return found if all(Path(path).is_absolute() for path in found) else None


@pytest.mark.parametrize("sanitizer", TESTS)
def test_sanitizers_find_nothing(sanitizer, tmp_path):
    preloaded = find_libraries(LIBRARIES[sanitizer])
    if preloaded is None:
        pytest.skip("no gcc with sanitizers")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "elbert_native.*"))
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    compiler = f"gcc -g -fno-omit-frame-pointer -fsanitize={sanitizer} -fno-sanitize-recover=all"
    built = subprocess.run(
        [sys.executable, tmp_path / "hatch_build.py"],
        env={**os.environ, "CC": compiler},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    # Addresses that change from run to run leave no room for what the thread sanitizer keeps about them.
    fixed = ["setarch", platform.machine(), "-R"] if sanitizer == "thread" and shutil.which("setarch") else []
    names = [str(ROOT / name) for name in TESTS[sanitizer]]
    command = [*fixed, sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-x", *names]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "LD_PRELOAD": ":".join(preloaded), **OPTIONS}
    loaded = subprocess.check_output([*fixed, sys.executable, "-c", LOADED], cwd=ROOT, env=environment, text=True)
    assert loaded.startswith(str(tmp_path)), "the library that is built here"
    assert loaded.endswith("True\n"), "it is loaded"
    ran = subprocess.run(
        [*command, "-k", "native or refill"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, "\n".join((ran.stdout + ran.stderr).splitlines()[-LINES:])
    assert " passed" in ran.stdout
