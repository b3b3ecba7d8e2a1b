"""The documents: every code block runs, every link leads somewhere, generated pages are current, the site builds."""

import ast
import csv
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
import warnings
from itertools import pairwise
from pathlib import Path

import pytest

from documents import MARKERS, PAGES, ROOT, SHELLS, Shell, blocks
from elbert import ConditionsWarning
from ranking_lists import make_lists, write_ranker
from tiny import texts, write_bundle

DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorials" / "train-certify-serve.md"
LINKED = sorted([*PAGES, *ROOT.glob("*.md"), ROOT / "deploy" / "README.md"])
NO_CODE = ("text", "json", "yaml", "csv", "bibtex", "pycon")
EVERY_TASK = DOCS / "tutorials" / "every-task.md"
# The tutorials' files are cut, so that their commands take seconds: their own sizes need minutes.
ROWS = {
    TUTORIAL: {"train": 40, "validation": 20, "calibration": 140, "test": 20},
    EVERY_TASK: {"train": 40, "validation": 20, "calibration": 40, "test": 20, "lists": 10, "long-reviews": 40},
}

WINDOW_PAGES = ("long-documents.md", EVERY_TASK.name)  # use the bundled model's points, certified for cut texts

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder with what a reader has: the examples, data files, and tiny models under the names that pages use."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    os.symlink(ROOT / "models", "models")
    for name in ("albert/albert-base-v2", "my-pairs"):
        write_bundle(Path(name))
    write_ranker(Path("my-ranker"))
    lines = [json.dumps({"query": query, "texts": some}) for query, some in make_lists(40, longest=6)]
    Path("lists.jsonl").write_text("\n".join(lines) + "\n")
    Path("texts.txt").write_text("\n".join(texts(5, seed=2)) + "\n")
    for name, rows in {"train": 130, "validation": 130, "calibration": 400, "tuning": 80, "test": 60}.items():
        lines = [f'"{text}",{"positive" if "good" in text else "negative"}' for text in texts(rows, seed=len(name))]
        Path(f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    Path("unlabelled.txt").write_text("\n".join(texts(400, seed=1)) + "\n")
    return tmp_path


@each_page
def test_tables_and_headings_stand_between_blank_lines(page):
    kinds, is_code = ["blank"], False
    for line in page.read_text(encoding="utf-8").splitlines():
        is_fence = line.lstrip().startswith("```")
        is_code ^= is_fence
        kind = "table" if line.startswith("|") else "heading" if line.startswith("#") else "text" if line else "blank"
        kinds.append("code" if is_code or is_fence else kind)
    for number, (before, kind) in enumerate(pairwise([*kinds, "blank"])):
        if {before, kind} & {"table", "heading"} and before != kind:
            assert "blank" in (before, kind), f"{page.name}:{number}"
    assert ("blank", "blank") not in pairwise(kinds[1:]), page.name


@each_page
def test_blocks_have_a_language_and_a_known_marker(page):
    for block in blocks(page):
        assert block.language in (*SHELLS, *NO_CODE, "python", "javascript", "cpp"), block.text
        assert block.marker in MARKERS, block.marker
        assert block.detail or block.marker in ("", "server"), f"{block.marker}: expected a reason"
        if block.language in ("javascript", "cpp"):
            assert block.marker in ("not run", "server"), block.text
        if block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.marker != "server" for block in blocks(page, "python", *SHELLS))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_blocks_run(page, reader, monkeypatch, capsys):
    """The blocks of a page run one after another in one folder and one namespace."""
    shell, namespace = Shell(monkeypatch), {}
    if page.name in WINDOW_PAGES:
        warnings.simplefilter("ignore", ConditionsWarning)
    if not re.search(r'--output my-model|output="my-model"', page.read_text(encoding="utf-8")):
        write_bundle(Path("my-model"))
    for block in blocks(page, "python", *SHELLS):
        if block.marker in ("not run", "server"):
            if block.language == "python":
                ast.parse(block.text)
        elif block.language == "python":
            exec(compile(block.text, str(page), "exec"), namespace)
            cut_files(ROWS.get(page, {}))
        else:
            flags = block.detail.split() if block.marker == "reduced" else []
            for command in block.commands:
                shell.run(command, *flags, parse_only=block.marker == "parsed")
    if page.name == "classify-files.md":
        assert len(Path("predictions.jsonl").read_text().splitlines()) == 12
    if page.name == "train-a-model.md":
        assert Path("my-model", "model.safetensors").exists()
    if page.name == "choose-a-trade-off.md":
        assert {"half", "close", "safe", "same"} <= json.loads(Path("my-model/exits.json").read_text())["points"].keys()
        assert {file.name for file in Path("report").iterdir()} >= {"report.html", "curves.png", "policies.csv"}
    if page == TUTORIAL:
        from elbert import Classifier

        classifier = Classifier.load("my-model")
        assert list(classifier.bundle.points) == ["quick"]
        assert {p.label for p in classifier.predict(["How do I top up?"])} <= set(classifier.labels)


def cut_files(sizes):
    """Cut the data files whose names end so to these numbers of rows."""
    for name, rows in sizes.items():
        for path in Path().glob(f"*{name}.csv"):
            with open(path, newline="", encoding="utf-8") as file:
                found = list(csv.reader(file))[: rows + 1]
            with open(path, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(found)
        for path in Path().glob(f"*{name}.jsonl"):
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:rows]))


def test_onnx_example(reader, capsys):
    from elbert import bundled_model
    from elbert.cli.main import main

    assert main(["export", "--extra-outputs", "--output", "model.onnx"]) == 0
    texts = ["A charming and often affecting journey.", "It drags."]
    done = subprocess.run(
        [sys.executable, "examples/onnx_classify.py", "model.onnx", f"{bundled_model()}/tokenizer.json", *texts],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["positive", "negative"]


def headings(text):
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    plain = [re.sub(r"[`*]", "", heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)]
    normal = [unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode() for heading in plain]
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in normal}


@pytest.mark.parametrize(
    "page", [page for page in LINKED if page.exists()], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (page.parent / target) if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in headings(file.read_text(encoding="utf-8")), f"{target}#{anchor}"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["command-line.md", "http.md", "policies.md", "python.md", "server-settings.md"])
def test_generated_pages_are_current(name, generator):
    assert name in generator.PAGES
    page = DOCS / "reference" / name
    assert page.read_text(encoding="utf-8") == generator.render(name), f"{page.name} is not current: run make docs"


def test_the_site_builds(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 30
    for page in pages:  # nothing is loaded from elsewhere
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//', text), page
        assert not re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="(?:https?:)?//', text), page
