"""Serving on a cluster: the HTTP interface's own tests against a deployment, overload, health, a rolling update."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from huggingface_hub import InferenceClient
from live_server import Live, tiny_classifier, until
from test_http_classify import (  # noqa: F401 - the same tests, against this file's server
    test_a_deadline_that_passes_before_the_first_layer_is_rejected_or_costs_depth,
    test_a_policy_that_cannot_be_read,
    test_an_answer_is_whole,
    test_answers_are_the_classifiers,
    test_info,
    test_line_requests_are_rejected_like_others,
    test_lines_come_as_texts_exit,
    test_open_inference,
    test_pages,
    test_the_highest_labels_only,
    test_which_point_was_in_force,
)
from test_http_hugging_face import (  # noqa: F401
    reachable,
    test_bodies,
    test_the_client_chooses_the_function,
    test_the_client_gets_as_many_as_it_asks_for,
    test_the_client_gets_every_label,
    test_the_client_hears_why_not,
    test_two_texts_are_two_texts,
)
from test_http_tei import (  # noqa: F401
    test_a_batch_is_answered_nested_and_in_order,
    test_a_pair_with_one_empty_text_is_none,
    test_a_text_of_no_characters_is_empty,
    test_either_end_can_be_cut,
    test_flags_are_true_or_false,
    test_headers_have_the_times,
    test_inputs_are_required_and_unknown_fields_ignored,
    test_null_is_the_default_where_it_is_accepted,
    test_one_text_or_one_pair_is_answered_flat,
    test_other_inputs_are_rejected,
    test_other_routes_without_parameters_answer_the_same,
    test_raw_scores_are_logits,
    test_the_batch_is_bounded,
)

import elbert.ray
from elbert._settings import settings_of
from elbert.errors import InputError
from elbert.ray.deployment import SHUTDOWN_MARGIN, MountedApplication, Replica, ReplicaConfig
from elbert.serving.errors import BackendFailure
from elbert.serving.http import HttpSettings
from elbert.serving.settings import ModelSettings, Settings

FEW = Settings(max_concurrent_requests=64, pause=0.001)


def deployed(policy=None, **more):
    folder = tiny_classifier().bundle.folder
    return elbert.ray.deployment(folder, policy, replicas=1, dtype="float32", http=HttpSettings("tiny"), **more)


class Deployed(Live):
    """The tests' client, for a server that is not started here."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def live(cluster):
    import socket

    from ray import serve

    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config={"log_level": "ERROR"})
    serve.run(deployed(), logging_config={"log_level": "ERROR"})
    yield Deployed(port)
    serve.shutdown()


@pytest.fixture(scope="module")
def client(live):
    return InferenceClient(base_url=live.url)


def test_state_routes(live):
    assert [live.get(path)[0] for path in ("/health", "/ready", "/metrics", "/ping")] == [200] * 4
    assert live.get("/health")[2] == b""
    assert live.get("/nowhere")[2]["error_type"] == "NotFound"
    assert live.get("/predict")[0] == 405


def test_overload_is_rejected_with_the_servers_error_shape(live):
    """512 texts may be in progress; 24 clients with 32 each send more, until one is rejected."""

    def ask(_):
        return live.post("/v1/classify", {"inputs": ["good " * 60] * 32, "policy": "full"})

    with ThreadPoolExecutor(24) as clients:
        found = until(lambda: [answer for answer in clients.map(ask, range(48)) if answer[0] != 200])
    for status, heads, answer in found:
        assert (status, answer["error_type"], sorted(answer)) == (429, "Overloaded", ["error", "error_type"])
        assert int(heads["retry-after"]) >= 1
    assert until(lambda: live.post("/v1/classify", {"inputs": ["good"]})[0] == 200)


@pytest.mark.slow
def test_a_rolling_update_drops_no_request(live, cluster):
    """Requests go on while every replica is replaced: all are answered, first by the old ones, then by the new."""
    from ray import serve

    stop, points = threading.Event(), Counter()

    def ask():
        while not stop.is_set():
            status, heads, answer = live.post("/v1/classify", {"inputs": ["a good film"]})
            points[heads.get("x-elbert-operating-point") if status == 200 else (status, str(answer))] += 1

    with ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(ask) for _ in range(4)]
        until(lambda: points["safe"] > 20)
        serve.run(deployed("fast"), logging_config={"log_level": "ERROR"})
        seen = points["fast"]
        until(lambda: points["fast"] > seen + 20)
        before = points["safe"]
        until(lambda: points["fast"] > seen + 40)
        stop.set()
        assert [future.result(30) for future in asking] == [None] * 4, "no connection was broken off"
    assert set(points) == {"safe", "fast"}, "nothing but answers"
    assert points["safe"] == before, "the old replica is gone"


# Without a cluster


def replica_config(**more):
    return ReplicaConfig(str(tiny_classifier().bundle.folder), None, FEW, HttpSettings(), {"threads": 1} | more)


def test_a_replica_lives_as_long_as_its_service():
    async def life():
        replica, received = Replica(replica_config()), asyncio.Queue()
        sent = asyncio.Queue()
        living = asyncio.create_task(replica.__serve_build_asgi_app__()({"type": "lifespan"}, received.get, sent.put))
        received.put_nowait({"type": "lifespan.startup"})
        assert (await sent.get())["type"] == "lifespan.startup.complete"
        await replica.check_health()
        [item] = await replica.service.gather(["a good film"])
        assert item.prediction == tiny_classifier().predict(["a good film"])[0]
        received.put_nowait({"type": "lifespan.shutdown"})
        assert (await sent.get())["type"] == "lifespan.shutdown.complete"
        await living
        assert not replica.service.is_ready
        return replica

    replica = asyncio.run(life())
    replica.service._worker.has_failed = True
    with pytest.raises(BackendFailure, match="does not recover"):
        asyncio.run(replica.check_health())


@pytest.mark.parametrize(("root", "path"), [("", "/predict"), ("/", "/predict"), ("/a", "/a/predict")])
def test_a_prefix_is_taken_away(root, path):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["path"])

    asyncio.run(MountedApplication(app, None)({"type": "http", "root_path": root, "path": path}, None, None))
    assert seen == ["/predict"]


def test_a_key_comes_from_the_environment(monkeypatch):
    from elbert.ray.deployment import _with_api_key

    assert _with_api_key(HttpSettings()).api_key is None
    monkeypatch.setenv("API_KEY", " secret\n")
    assert _with_api_key(HttpSettings()).api_key == "secret"
    assert _with_api_key(HttpSettings(api_key="other")).api_key == "other"


def options(application):
    return application._bound_deployment


def test_limits_follow_from_the_engines_capacity():
    usual = options(elbert.ray.deployment())
    assert (usual.max_ongoing_requests, usual.max_queued_requests) == (1024, 1024)
    scaling = usual._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (1, 4, 128.0)
    pressed = usual._deployment_config.backpressure_config
    assert (pressed.status_code, pressed.retry_after_s) == (429, 1.0)
    assert usual._deployment_config.graceful_shutdown_timeout_s == Settings().shutdown_timeout + SHUTDOWN_MARGIN
    small = options(elbert.ray.deployment(max_rows=8, replicas=2, threads=3))
    assert (small.max_ongoing_requests, small.num_replicas) == (64, 2)
    assert small.ray_actor_options["num_cpus"] == 3
    assert options(elbert.ray.deployment(device="cuda")).ray_actor_options["num_gpus"] == 1
    assert options(elbert.ray.deployment(settings=FEW)).max_ongoing_requests == 128


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"replicas": (0, 2)}, "from 0 to 2 replicas"),
        ({"replicas": (3, 2)}, "from 3 to 2 replicas"),
        ({"device": "tpu"}, "expected cpu or cuda"),
    ],
)
def test_deployments_that_cannot_be(wrong, why):
    with pytest.raises(InputError, match=why):
        elbert.ray.deployment(**wrong)


def test_plain_values_make_a_deployment():
    arguments = {"model_id": None, "operating_point": "fast", "replicas": [2, 3], "threads": "2", "target_delay": 1}
    found = options(elbert.ray.app(arguments | {"auto_truncate": "false", "cors_allow_origin": ["https://a.example"]}))
    [served] = found.init_args
    assert (served.model, served.policy, served.settings.target_delay) == (None, "fast", 1.0)
    assert (served.http.auto_truncate, served.http.cors_allow_origin) == (False, ("https://a.example",))
    assert (served.load["threads"], found._deployment_config.autoscaling_config.max_replicas) == (2, 3)
    assert (served.settings.max_concurrent_requests, served.settings.warm_up) == (512, 5.0)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"modell": 1}, "'modell' is no setting; known are .*model_id"),
        ({"threads": "many"}, "threads: expected a whole number from 1 to 1024, got 'many'"),
        ({"threads": True}, "threads: expected a whole number from 1 to 1024, got True"),
        ({"replicas": [1]}, "replicas is .1., expected a number, or .min, max."),
        ({"auto_truncate": "perhaps"}, "auto_truncate: expected true or false, got 'perhaps'"),
        ({"revision": "main"}, "revision: replicas load a shared folder"),
    ],
)
def test_values_that_do_not_fit(wrong, why):
    with pytest.raises(InputError, match=why):
        elbert.ray.app(wrong)


def test_values_have_the_types_of_their_settings():
    known = {setting.name: setting for setting in settings_of(ModelSettings, Settings)}
    assert known["threads"].parse("3") == 3
    assert known["threads"].parse(None) is None
    assert known["target_delay"].parse(2) == 2.0


def test_the_file_for_serve_deploy_is_one():
    from pathlib import Path

    from ray.serve.schema import ServeDeploySchema

    config = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "ray-serve.yaml").read_text())
    [application] = ServeDeploySchema.model_validate(config).applications
    assert application.import_path == "elbert.ray:app"
    [deployment] = application.deployments
    made = options(elbert.ray.app(application.args))
    assert deployment.name == made.name
    assert set(application.args) >= {"model_id", "replicas"}
