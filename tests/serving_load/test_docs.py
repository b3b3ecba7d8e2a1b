"""docs/serving.md: what a reader could run is run against a server; what it lists is what there is."""

import json
import re
import shutil
import subprocess

import pytest
from live import ROOT, serving

from elbert.cli.commands.serve import FLAGS
from serving_peers.wire import get, post

PAGE = (ROOT / "docs" / "serving.md").read_text()
ADDRESS = "localhost:3000"


def blocks(language):
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
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
    for block in blocks("bash"):
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
    for block in blocks("python"):
        exec(compile(here(block, server), "serving.md", "exec"), {})
    first, *others = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"positive 0\.\d+", first)
    assert [line.split()[0] for line in others] == ["positive", "negative"]
    assert re.fullmatch(r"\S+ 0\.\d+ \d+/12 \w+", others[0])


K6 = """
const said = [];
const http = {
  setResponseCallback() {}, expectedStatuses() {},
  post(url, body, more) { said.push([url, body, more.headers]); return { status: 429 }; },
};
function check(answer, checks) { said.push(Object.values(checks).every((holds) => holds(answer))); }
"""


def test_k6_example(server):
    """The script without its imports, on stand-ins for what it imports; and what it sends, sent."""
    from py_mini_racer import MiniRacer

    (script,) = blocks("javascript")
    assert re.findall(r"^import .*$", script, re.M) == ["import http from 'k6/http';", "import { check } from 'k6';"]
    body = re.sub(r"^import .*$", "", script, flags=re.M).replace("export default function", "function load")
    body = body.replace("export const options", "const options")
    said, options = json.loads(MiniRacer().eval(f"{K6}{body}\nload(); JSON.stringify([said, options])"))
    ((url, sent, headers), holds) = said
    assert holds is True
    assert all(scenario["executor"] == "constant-arrival-rate" for scenario in options["scenarios"].values())
    assert url.startswith(f"http://{ADDRESS}/")
    (answer,) = server.ask(post(url.removeprefix(f"http://{ADDRESS}"), sent.encode(), headers))
    assert answer.status == 200


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_k6_example_is_a_module(tmp_path):
    (tmp_path / "load.mjs").write_text(blocks("javascript")[0])
    done = subprocess.run(["node", "--check", tmp_path / "load.mjs"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_flag_is_told_and_no_other():
    told = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert {f"--{flag.name}" for flag in FLAGS} == told
    rows = dict(re.findall(r"^\| `(--[a-z-]+)` \| `([^`]+)` \|", PAGE, re.M))
    defaults = {f"--{flag.name}": flag.default for flag in FLAGS}
    assert len(rows) >= 6
    for name, said in rows.items():
        assert said in (str(defaults[name]).lower(), f"{defaults[name]:g}"), name


def test_every_route_and_status_is_told(server):
    (answer,) = server.ask(get("/openapi.json"))
    document = answer.json()
    routes = {path.replace("/bundled", "/M") for path in document["paths"]} - {"/explorer/model.json"}
    routes -= {"/explorer/evaluation.json"}  # the page's own
    assert {path for path in routes if f"{path}`" not in PAGE} == set()
    statuses = {s for path in document["paths"].values() for verb in path.values() for s in verb["responses"]}
    told = {status for row in re.findall(r"^\| (\d{3}(?:, \d{3})*) \|", PAGE, re.M) for status in row.split(", ")}
    assert statuses - {"200"} <= told


def test_every_metric_is_told(server):
    (answer,) = server.ask(get("/metrics"))
    families = set(re.findall(r"^# TYPE (\S+)", answer.body.decode(), re.M))
    told = set(re.findall(r"`((?:te|elbert)_[a-z_]+)", PAGE))
    told |= {f"elbert_shadow{end}" for end in re.findall(r"`(_[a-z]+)", PAGE)}
    assert {name for name in families if name not in told} == set()


def test_a_browser_finds_its_pages(server):
    for page in server.ask(get("/"), get("/docs")):
        assert page.status == 200
        assert "text/html" in page.headers["content-type"]
