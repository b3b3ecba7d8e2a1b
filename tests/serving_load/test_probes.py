"""What watches a server from outside, as deploy/ has it, against one that runs and one that does not."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from live import ROOT, free_port, serving

from serving_peers.wire import get
from tiny import write_bundle


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving("--model-id", write_bundle(tmp_path_factory.mktemp("probes") / "tiny"), "--api-key", "secret") as live:
        yield live


def test_the_containers_health_check(server):
    (line,) = [
        s for s in (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ").splitlines() if " CMD " in s
    ]
    program = json.loads(line.partition(" CMD ")[2])[2]

    def status(port):
        environment = os.environ | {"PORT": str(port), "no_proxy": "*"}
        return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True).returncode

    assert status(server.port) == 0
    assert status(free_port()) != 0


def test_kubernetes_probes_need_no_key(server):
    documents = yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text())
    (pod,) = [document["spec"]["template"] for document in documents if document["kind"] == "Deployment"]
    (container,) = pod["spec"]["containers"]
    paths = {probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    paths.add(pod["metadata"]["annotations"]["prometheus.io/path"])
    assert paths == {"/health", "/ready", "/metrics"}
    assert {answer.status for answer in server.ask(*map(get, sorted(paths)))} == {200}
    assert server.ask(get("/info"))[0].status == 401
