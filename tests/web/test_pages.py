"""Pages hold everything they need, and text in them stays text."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from comparison_data import NASTY, comparison

from elbert.web import read_script, render_page

WEB = Path(str(files("elbert.web")))
ALLOWED = "http://www.w3.org/"
PAGES = sorted(str(file.relative_to(WEB)) for file in WEB.rglob("*.html"))
SCRIPTS = sorted(str(file.relative_to(WEB)) for file in WEB.rglob("*.js"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_address(name):
    html = render_page(name, {"text": "nothing"})
    found = re.findall(r"(?:https?:|(?<=[\"'(=\s]))//[\w.\-]+[^\s\"')]*", html)
    assert [address for address in found if not address.startswith(ALLOWED) and not address.startswith("// ")] == []
    assert not re.search(r"<(script|link|img|iframe)[^>]*\s(src|href)=(?![\"']?(data:|#))", html)
    assert "@import" not in html
    assert not re.search(r"\surl\((?!#)", html)
    assert "<!-- include" not in html


@pytest.mark.parametrize("name", ["explorer/explorer.html", "report/report.html", "api/api.html"])
def test_a_page_has_landmarks_a_language_and_no_inline_handler(name):
    html = render_page(name, comparison())
    for part in ('<html lang="en">', "<main", "<header", "<h1", '<meta name="viewport"', "<title>", "<noscript>"):
        assert part in html
    body = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"\son\w+=", body)
    assert not re.search(r"\sstyle=", body)
    ids = re.findall(r'\sid="([^"]+)"', body)
    assert len(ids) == len(set(ids))
    for references in re.findall(r'\s(?:for|aria-labelledby|aria-describedby|aria-controls)="([^"]+)"', body):
        assert set(references.split()) <= set(ids)


def test_no_script_reads_text_as_markup():
    markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    for script in SCRIPTS:
        text = (WEB / script).read_text(encoding="utf-8")
        assert not markup.search(text), script
        assert "</script" not in text, script


def test_every_script_is_part_of_a_page():
    pages = "".join((WEB / page).read_text(encoding="utf-8") for page in PAGES)
    entries = [*re.findall(r"<!-- include ([\w/]+\.js) -->", pages), "offline/model_worker.js"]
    joined = [read_script(entry) for entry in entries]
    constants = {script: f"const ${Path(script).stem} = " for script in SCRIPTS}
    assert not [script for script, constant in constants.items() if not any(constant in one for one in joined)]


def test_data_cannot_leave_its_element():
    html = render_page("report/report.html", comparison())
    assert NASTY not in html
    assert html.count("</script>") == html.count("<script")
    element = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert json.loads(element[1]) == comparison()
