"""The files in deploy/, read as their programs read them, against the server's flags and routes."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from elbert.cli.commands.serve import FLAGS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def known(words):
    """Check that the server has these flags, and can read their values."""
    flags = {name: flag for flag in FLAGS for name in flag.flags}
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for at, word in enumerate(words):
        if word.startswith("--"):
            assert word in flags, word
            if not flags[word].is_switch:
                flags[word].read(words[at + 1])
    return words


# The container


def instructions():
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def last(name):
    return [rest for word, rest in instructions() if word == name][-1]


def test_the_image_is_built_from_existing_files_and_runs_unprivileged():
    words = [word for word, _ in instructions()]
    assert words.count("FROM") == 2, "the compilers and caches of the first stage stay behind"
    assert words.index("USER") < words.index("ENTRYPOINT")
    user = last("USER").split(":")
    assert all(part.isdigit() and int(part) > 1000 for part in user), "by number, so that Kubernetes can check it"
    assert any(f"--uid {user[0]}" in rest for word, rest in instructions() if word == "RUN")
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            assert all((ROOT / name).exists() for name in rest.split()[:-1]), rest
    assert last("STOPSIGNAL") == "SIGTERM"


def test_the_build_context_has_only_the_files_of_the_image():
    rules = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        name for word, rest in instructions() if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    assert copied == let_in


def test_the_container_starts_the_server_with_flags_that_it_knows():
    command = json.loads(last("ENTRYPOINT"))
    assert command[:2] == ["elbert", "serve"]
    assert known(command[2:]) == ["--hostname", "0.0.0.0"]
    set_here = {part.partition("=")[0] for w, rest in instructions() if w == "ENV" for part in shlex.split(rest)}
    assert "PORT" in set_here
    assert "HOSTNAME" not in set_here


def health_check():
    """The program of the health check, and its arguments."""
    command = json.loads(last("HEALTHCHECK").partition("CMD")[2])
    assert command[:2] == ["python", "-c"]
    return command[2]


def test_the_health_check_is_a_program():
    compile(health_check(), "HEALTHCHECK", "exec")
    assert "/health" in health_check()


# systemd


def unit():
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str
    parser.read(DEPLOY / "elbert.service")
    return parser


def test_the_unit_is_hardened_and_outlasts_the_servers_shutdown():
    service = unit()["Service"]
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "DynamicUser", "RestrictSUIDSGID"):
        assert service[name] == "yes", name
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert "MemoryDenyWriteExecute" not in service, "oneDNN compiles its products when it runs"
    words = shlex.split(service["ExecStart"])
    assert words[1] == "serve"
    flags = known(words[2:])
    assert int(service["TimeoutStopSec"]) > float(flags[flags.index("--shutdown-timeout") + 1])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit(tmp_path):
    """With another program, since /opt/elbert is not here."""
    copy = tmp_path / "elbert.service"
    copy.write_text((DEPLOY / "elbert.service").read_text().replace("/opt/elbert/bin/elbert", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "elbert.service" not in done.stderr, done.stderr  # it warns of what it does not know, and takes it


# Kubernetes


def manifests():
    return {document["kind"]: document for document in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def pod():
    return manifests()["Deployment"]["spec"]["template"]["spec"]


def test_every_object_is_there_and_they_mean_the_same_pods():
    found = manifests()
    assert set(found) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    target = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", found["Deployment"]["metadata"]["name"])
    assert "replicas" not in found["Deployment"]["spec"], "it would fight the autoscaler at every apply"


def test_probes_ask_the_right_routes_and_ports():
    (container,) = pod()["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert container["startupProbe"]["httpGet"]["path"] == "/ready"
    assert f"--port={ports['http']}" in container["args"]
    assert manifests()["Service"]["spec"]["ports"][0]["targetPort"] == "http"


def test_the_pod_may_finish_and_has_few_privileges():
    (container,) = pod()["containers"]
    flags = known(container["args"])
    before = int(re.search(r"sleep\((\d+)\)", " ".join(container["lifecycle"]["preStop"]["exec"]["command"]))[1])
    ends = float(flags[flags.index("--shutdown-timeout") + 1])
    assert pod()["terminationGracePeriodSeconds"] > before + ends
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert str(pod()["securityContext"]["runAsUser"]) == last("USER").split(":")[0]
    allowed = container["securityContext"]
    assert allowed["allowPrivilegeEscalation"] is False
    assert allowed["readOnlyRootFilesystem"] is True
    assert allowed["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    names = {flag.variable for flag in FLAGS} | {"OMP_NUM_THREADS"}
    assert {entry["name"] for entry in container["env"]} <= names
    assert pod()["enableServiceLinks"] is False, "a service of that name would set variables of its own"


# Grafana


def expressions():
    panels = json.loads((DEPLOY / "grafana.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_the_dashboard_is_whole():
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert all(expression.count("(") == expression.count(")") for expression in expressions())


def test_the_dashboard_shows_metrics_of_the_server():
    from elbert import Classifier
    from elbert.serving.http import Metrics
    from elbert.serving.service import Service

    classifier = Classifier.load(threads=1)  # the bundled model: some series are there only with operating points
    metrics = Metrics(classifier)
    metrics.watch(Service(classifier, observer=metrics))
    exposed = set(re.findall(r"^([a-z_]+)(?:\{| )", metrics.text().decode(), re.M))
    shown = {name for expression in expressions() for name in re.findall(r"\b(?:te|elbert)_[a-z_]+", expression)}
    assert shown <= exposed, shown - exposed
    assert {"te_queue_size", "elbert_exit_depth_bucket", "elbert_operating_point", "elbert_shadow_upper"} <= shown


def test_a_missing_key_stops_the_deployment():
    deployment = next(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    [key] = [entry for entry in container["env"] if entry["name"] == "API_KEY"]
    assert not key["valueFrom"]["secretKeyRef"].get("optional"), "a misspelt secret would serve without a key"
