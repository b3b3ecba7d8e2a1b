"""docs/how-to/call-the-server.md: every example is run against a server. The pages list what the server has."""

import json
import re
import shutil
import subprocess

import pytest
from live import ROOT, serving

from browser import find_node
from documents import blocks
from serving_peers.wire import get, post

DOCS = ROOT / "docs"
PAGE = DOCS / "how-to" / "call-the-server.md"
ADDRESS = "localhost:3000"


def texts(language):
    found = [block.text for block in blocks(PAGE, language) if block.marker == "server"]
    assert found
    return found


@pytest.fixture(scope="module")
def server():
    with serving("--threads", 1, "--shadow", 1, "--adaptive", "fast") as live:
        yield live


def here(text, server):
    assert ADDRESS in text
    return text.replace(ADDRESS, f"127.0.0.1:{server.port}")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_examples(server, tmp_path):
    (tmp_path / ".curlrc").write_text("fail\n")  # a status of an error ends it
    for block in texts("sh"):
        for command in re.sub(r"\\\n", " ", block).strip().splitlines():
            done = subprocess.run(
                ["bash", "-c", here(command, server)],
                env={"CURL_HOME": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/local/bin", "no_proxy": "*"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, (command, done.stderr)
            for line in done.stdout.splitlines():
                assert json.loads(line)


def test_python_examples(server, monkeypatch, capsys):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # loopback is no network
    for block in texts("python"):
        exec(compile(here(block, server), str(PAGE), "exec"), {})
    first, *others = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"positive 0\.\d+", first)
    assert [line.split()[0] for line in others] == ["positive", "negative"]
    assert re.fullmatch(r"\S+ 0\.\d+ \d+/12 \w+", others[0])


K6 = """
const sent = [];
const http = {
  setResponseCallback() {}, expectedStatuses() {},
  post(url, body, more) { sent.push([url, body, more.headers]); return { status: 429 }; },
};
function check(answer, checks) { sent.push(Object.values(checks).every((holds) => holds(answer))); }
"""


def test_k6_example(server):
    """The script without its imports, on substitutes for what it imports; and its request, sent."""
    from py_mini_racer import MiniRacer

    (script,) = texts("javascript")
    assert re.findall(r"^import .*$", script, re.M) == ["import http from 'k6/http';", "import { check } from 'k6';"]
    body = re.sub(r"^import .*$", "", script, flags=re.M).replace("export default function", "function load")
    body = body.replace("export const options", "const options")
    sent, options = json.loads(MiniRacer().eval(f"{K6}{body}\nload(); JSON.stringify([sent, options])"))
    ((url, request, headers), holds) = sent
    assert holds is True
    assert all(scenario["executor"] == "constant-arrival-rate" for scenario in options["scenarios"].values())
    assert url.startswith(f"http://{ADDRESS}/")
    (answer,) = server.ask(post(url.removeprefix(f"http://{ADDRESS}"), request.encode(), headers))
    assert answer.status == 200


@pytest.mark.skipif(find_node() is None, reason="needs node: make .venv/developed")
def test_k6_example_is_a_module(tmp_path):
    (tmp_path / "load.mjs").write_text(texts("javascript")[0])
    done = subprocess.run([find_node(), "--check", tmp_path / "load.mjs"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_flag_and_its_default_is_documented():
    from elbert.cli.commands.serve import FLAGS

    page = (DOCS / "reference" / "server-settings.md").read_text()
    rows = dict(re.findall(r"^\| `(--[a-z-]+)`[^|]*\| `[A-Z_]+` \| `?([^|`]+?)`? \|", page, re.M))
    assert {flag.flag for flag in FLAGS} == set(rows)
    for flag in FLAGS:
        assert rows[flag.flag] == (flag.shown_default or "none")


def test_every_route_and_status_is_documented(server):
    page = (DOCS / "reference" / "http.md").read_text()
    (answer,) = server.ask(get("/openapi.json"))
    document = answer.json()
    routes = {path.replace("/bundled", "/MODEL") for path in document["paths"]}
    assert {path for path in routes if f"{path}`" not in page} == set()
    statuses = {s for path in document["paths"].values() for verb in path.values() for s in verb["responses"]}
    assert statuses - {"200"} <= set(re.findall(r"^\| (\d{3}) \|", page, re.M))


def test_every_metric_is_documented(server):
    (answer,) = server.ask(get("/metrics"))
    families = set(re.findall(r"^# TYPE (\S+)", answer.body.decode(), re.M))
    listed = set(re.findall(r"`((?:te|elbert)_[a-z_]+)", (DOCS / "reference" / "metrics.md").read_text()))
    assert families
    assert {name for name in families if name not in listed} == set()


def test_a_browser_finds_its_pages(server):
    for page in server.ask(get("/"), get("/docs")):
        assert page.status == 200
        assert "text/html" in page.headers["content-type"]
