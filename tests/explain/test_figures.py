"""Figures are written, show the explanation's texts, and restore matplotlib's settings."""

import struct
import xml.etree.ElementTree as ET
import zlib

import matplotlib
import pytest

from elbert.explain import explain, survey
from elbert.explain.figures import write_figure
from tiny import texts

TEXTS = [f"{text} film" for text in texts(30, seed=2)]
NASTY = "costs $5 and $6 \\frac{ <b>&amp; 日本 \U0001f600 </script>\x1b[31m film"


def png_size(data):
    """Width and height of a PNG whose every chunk is whole and whose pixels can be unpacked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, pixels, size = 8, b"", None
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        pixels += body if kind == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(pixels)) > size[0] * size[1]
    return size


def svg_words(path):
    return " ".join(node.text or "" for node in ET.parse(path).iter() if node.tag.endswith("text"))


KINDS = ["two", "many", "multi", "shallow"]
SPECS = ["window(entropy=0.1, size=3)", "divergence(1, 0.05)", "entropy(0.5)", "full"]
PAIRS = [  # each once; make slow has every pair
    pytest.param(kind, spec, marks=[] if i == j else pytest.mark.slow)
    for i, kind in enumerate(KINDS)
    for j, spec in enumerate(SPECS)
]


@pytest.mark.parametrize(("kind", "spec"), PAIRS)
def test_one_text(classifiers, tmp_path, kind, spec):
    subject = explain(classifiers[kind], NASTY, spec, attention=False, rounds=0)
    before = dict(matplotlib.rcParams)
    for ending in ("png", "svg"):
        write_figure(subject, tmp_path / f"one.{ending}")
    assert dict(matplotlib.rcParams) == before
    width, height = png_size((tmp_path / "one.png").read_bytes())
    assert width == 1300
    assert height > 500
    words = svg_words(tmp_path / "one.svg")
    for part in ["costs $5 and $6 \\frac{ <b>", "probability", "depth", f"exit: {subject.reason}"]:
        assert part in words
    assert "\x1b" not in words
    first = (tmp_path / "one.svg").read_bytes()
    write_figure(subject, tmp_path / "one.svg")
    assert (tmp_path / "one.svg").read_bytes() == first  # the same picture, the same bytes


@pytest.mark.parametrize("labels", [None, [i % 2 for i in range(30)]])
def test_a_data_set(classifiers, tmp_path, labels):
    subject = survey(classifiers["two"], TEXTS, labels, "entropy(0.7)")
    for ending in ("png", "svg"):
        write_figure(subject, tmp_path / f"all.{ending}")
    assert png_size((tmp_path / "all.png").read_bytes())[0] == 1300
    words = svg_words(tmp_path / "all.svg")
    for part in ["30 texts", "exit depth", "tokens", "rank correlation"]:
        assert part in words
    assert ("wrong" in words) == (labels is not None)


def test_no_window_on_any_screen():
    """Figures are made without pyplot, which would choose a backend for the whole process."""
    import subprocess
    import sys

    code = (
        "import sys, elbert.explain.figures as f; from elbert.classifier import Classifier;"
        "from elbert.explain import explain; from pathlib import Path; import tempfile;"
        "subject = explain(Classifier.load(), 'a film', attention=False, rounds=0);"
        "f.write_figure(subject, Path(tempfile.mkdtemp()) / 'x.svg');"
        "sys.exit('matplotlib.pyplot' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
