"""The page of the routes, made of the OpenAPI document: what it shows, copies and sends."""

import io
import json
import runpy
import shlex
import urllib.request

import pytest
from explorer_server import Client, run_explorer

from browser import wait_until


@pytest.fixture(scope="module")
def address(classifier):
    with run_explorer(classifier) as at:
        yield at


def test_every_route_is_described(opened, address):
    document = Client(address).get("/openapi.json")[2]
    page = opened(f"{address}docs", permissions=["clipboard-read", "clipboard-write"])
    assert page.inner_text("#address") == address
    page.evaluate("for (const route of document.querySelectorAll('.route')) route.open = true")
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert page.locator(".route").count() == len(operations)
    for path, method, operation in operations:
        route = page.locator(f"#{operation['operationId']}")
        assert route.locator(".path").inner_text() == path
        if method == "post":
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
            fields = document["components"]["schemas"][name].get("properties", {"inputs": {}})
            shown = route.locator("details[open] tbody tr").all_inner_texts()
            assert set(fields) <= {row.split("\t")[0] for row in shown}
            assert route.locator("figure pre").count()
    text = page.inner_text("#classify")
    for part in ("a policy spec or the name of an operating point", "integer at least 1 or null", "1 to 32 long"):
        assert part in text
    assert "`" not in page.inner_text("#about")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.focus("#classify .copy button")
    page.keyboard.press("Enter")
    wait_until(page, "document.querySelector('#classify .copy [role=status]').textContent === 'Copied.'")
    copied = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert copied[:4] == ["curl", "-X", "POST", f"{address}v1/classify"]
    assert json.loads(copied[copied.index("-d") + 1]) == json.loads(page.input_value("#classify textarea"))


OPEN_EVERYTHING = "for (const part of document.querySelectorAll('.route, .route details')) part.open = true"
# Texts that lie outside of the screen, and boxes whose content is wider than they are.
CUT_OFF = """[...document.querySelectorAll("main *")].filter((part) => {
  const box = part.getBoundingClientRect();
  const isHidden = part.closest("thead") !== null && getComputedStyle(part.closest("thead")).position === "absolute";
  const overflows = part.clientWidth > 0 && part.scrollWidth > part.clientWidth + 1;
  return !isHidden && box.width > 0 && (box.right > innerWidth + 1 || overflows);
}).map((part) => `${part.tagName} ${part.textContent.slice(0, 60)}`)"""


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_cut_off_and_every_column_has_a_heading(opened, address, width):
    page = opened(f"{address}docs", width=width)
    page.evaluate(OPEN_EVERYTHING)
    wait_until(page, "[...document.querySelectorAll('.route > div')].every((part) => part.childElementCount)")
    page.evaluate(OPEN_EVERYTHING)
    assert page.evaluate(CUT_OFF) == []
    headings = page.locator("#classify thead th").all_text_contents()
    assert all(headings)
    assert headings[:4] == ["Field", "Type", "Required or default", "Meaning"]
    assert page.locator("#predict tbody tr", has_text="inputs").first.inner_text().split()[0] == "inputs"


def test_a_route_is_tried_from_the_keyboard(opened, address, classifier):
    opened.expected.append("422")
    page = opened(f"{address}docs#classify", width=390)
    page.fill("#classify textarea", json.dumps({"input": "it's a dull plot", "policy": "depth(2)"}))
    page.focus("#classify .primary")
    page.keyboard.press("Enter")
    wait_until(page, "document.querySelector('#classify .status') !== null")
    assert page.inner_text("#classify .status").startswith("200")
    [found] = json.loads(page.inner_text("#classify pre[aria-label='The answer']"))["data"]
    [expected] = classifier.predict(["it's a dull plot"], "depth(2)")
    assert (found["label"], found["depth"]) == (expected.label, 2)
    for language, quoted in [("Python", "urllib"), ("JavaScript", "fetch("), ("curl", "it'\\''s")]:
        page.select_option("#language", language)
        assert quoted in page.inner_text("#classify pre >> nth=0")
    page.fill("#classify textarea", "{}")
    page.keyboard.press("Tab")
    page.click("#classify .primary")
    wait_until(page, "document.querySelector('#classify .status').textContent.startsWith('422')")
    page.evaluate("location.hash = 'info'")
    page.wait_for_selector("#info[open] .primary")
    page.click("#info .primary")
    wait_until(page, "document.querySelector('#info .status')?.textContent.startsWith('200')")


def test_code_of_any_body_is_valid(tmp_path, monkeypatch):
    from browser import Engine

    engine = Engine("api/code_samples.js")
    sent = []

    def open_url(request):
        sent.append(request)
        return io.BytesIO(b"{}")

    monkeypatch.setattr(urllib.request, "urlopen", open_url)
    monkeypatch.setenv("ELBERT_API_KEY", "the key")
    for body in ('{"input":"it\'s \\"so\\" \\\\ $HOME `x` \\n é"}', '{"a":1}', "{ not json '", '{\n "a": 1\n}'):
        request = {"method": "POST", "address": "http://h/v1/classify", "body": body, "hasKey": True}
        curl, python = (engine(f"(r) => $code_samples.SAMPLES.{name}(r)", request) for name in ("curl", "Python"))
        words = shlex.split(curl.replace("\\\n", " "))
        assert words[words.index("-d") + 1] == body
        (tmp_path / "code.py").write_text(python, encoding="utf-8")
        runpy.run_path(str(tmp_path / "code.py"))
        assert sent[-1].data.decode() == body
        assert (sent[-1].method, sent[-1].full_url) == ("POST", request["address"])
        assert sent[-1].get_header("Authorization") == "Bearer the key"
