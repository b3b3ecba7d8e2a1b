"""Flags of ``elbert serve``: each also in the environment, the command line first."""

import json
import socket

import pytest

from elbert.cli.commands import serve
from elbert.cli.commands.serve import FLAGS
from elbert.cli.main import main, parser
from elbert.cli.settings_flags import resolve_flags
from elbert.errors import BundleError, InputError
from elbert.serving.http.server import bind_socket, bind_unix_socket, is_loopback, server_url
from elbert.serving.settings import Settings


def settled(*arguments, **environment):
    found = parser().parse_args(["serve", *arguments])
    resolve_flags(found, environment, FLAGS)
    return found


def test_defaults_are_teis_and_the_services():
    found = settled()
    assert (found.port, found.max_concurrent_requests, found.max_batch_tokens) == (3000, 512, 16384)
    assert (found.max_client_batch_size, found.payload_limit, found.auto_truncate) == (32, 2_000_000, True)
    assert found.model_id == ()
    assert found.api_key is found.served_model_name is None
    assert (found.json_output, found.strict, list(found.cors_allow_origin)) == (False, False, [])
    assert serve.service_settings(found) == Settings(warm_up=5.0)  # a service built in code starts at once
    assert serve.http_settings(found).name == "bundled"


def test_every_flag_can_stand_in_the_environment():
    values = {
        "dtype": "int8",
        "auto_truncate": "false",
        "json_output": "TRUE",
        "access_log": "false",
        "strict": "1",
        "cors_allow_origin": "https://a, https://b",
        "hostname": "0.0.0.0",
        "shadow": "0.5",
    }
    for flag in FLAGS:
        text = values.get(flag.name, "7")
        found = settled(**{flag.variable: text})
        assert getattr(found, flag.name) == flag.read(text), flag.name
    assert settled(CORS_ALLOW_ORIGIN="https://a, https://b").cors_allow_origin == ("https://a", "https://b")


def test_the_command_line_goes_first():
    assert settled("--port", "5", PORT="6").port == 5
    assert settled("--auto-truncate", "false", AUTO_TRUNCATE="true").auto_truncate is False
    assert settled("--json-output", JSON_OUTPUT="false").json_output is True
    assert settled("--cors-allow-origin", "a", "--cors-allow-origin", "b").cors_allow_origin == ("a", "b")
    assert settled("--model", "m").model_id == settled("--model-id", "m").model_id == settled(MODEL_ID="m").model_id
    assert settled("--host", "h").hostname == settled("--hostname", "h").hostname == "h"
    assert settled(PORT="").port == 3000, "an empty variable says nothing"
    assert settled("--api-key", " k\n").api_key == "k"


def test_a_path_of_a_unix_socket_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path / "file", "in use"),
        (tmp_path / "no" / "s", "No such file"),
        (tmp_path / ("s" * 200), ""),
    ):
        with pytest.raises(InputError, match=f"--unix-socket .*{why}.*choose another"), bind_unix_socket(path):
            pass
    with bind_unix_socket(tmp_path / "s") as bound:
        bound.listen(1)
        with pytest.raises(InputError, match="another program listens there") as caught:
            bind_unix_socket(tmp_path / "s").__enter__()
        assert str(caught.value).count("--unix-socket ") == 1, "one message, not one in another"
        assert str(caught.value).endswith("; choose another --unix-socket, or stop it")
        assert server_url(bound) == f"unix:{tmp_path / 's'}"
        assert not is_loopback(bound)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--unix-socket", "s", "--port", "1"], "give one of them"),
        (["--model-id", "a=x", "--model-id", "y=z", "--revision", "main"], "--revision is for one model"),
        (["--model-id", "a=x", "--served-model-name", "b"], "--served-model-name is for a model without a name"),
        (["--model-id", "bundled", "--revision", "main"], "--revision is for models on the hub"),
        (["--api-key-file", "nowhere"], "--api-key-file nowhere: missing"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_contradicts_is_one_line_in_the_form_of_the_log(capsys, flags, message, as_json):
    port = [] if "--port" in flags else ["--port", "0"]
    assert main(["serve", *port, *flags, *(["--json-output"] if as_json else [])]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert message in (json.loads(line)["message"] if as_json and "one of them" not in message else line)


def test_the_name_that_a_container_sets_by_itself_is_nobodys_wish():
    assert settled(HOSTNAME=socket.gethostname()).hostname == "127.0.0.1"
    assert settled(HOSTNAME="0.0.0.0").hostname == "0.0.0.0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("port", "x"),
        ("port", "-1"),
        ("shadow", "2"),
        ("shadow", "nan"),
        ("target-delay", "0"),
        ("target-delay", "inf"),
        ("max-concurrent-requests", "0"),
        ("max-batch-tokens", "1.5"),
        ("payload-limit", "0"),
        ("threads", "2000"),
        ("dtype", "float16"),
        ("json-output", "maybe"),
        ("api-key", " "),
    ],
)
def test_invalid_values_are_errors_in_one_line(name, value):
    with pytest.raises(InputError, match=f"^--{name}: ") as raised:
        settled(f"--{name}={value}")
    assert "\n" not in str(raised.value)
    variable = name.replace("-", "_").upper()
    if value.strip():
        with pytest.raises(InputError, match=f"^{variable}: "):
            settled(**{variable: value})


def test_a_revision_is_the_hubs(bundle_folder):
    assert serve.resolve_model("m", None) == "m"
    for model in (None, str(bundle_folder)):
        with pytest.raises(InputError, match="--revision"):
            serve.resolve_model(model, "main")
    with pytest.raises(BundleError, match="revision"):
        serve.resolve_model("org/absent", "main")


def test_a_port_that_is_taken(capsys):
    with bind_socket("127.0.0.1", 0) as place:
        place.listen()
        port = place.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"127.0.0.1:{port}" in error
        with pytest.raises(InputError):
            bind_socket("256.256.256.256.invalid", 0)
        with pytest.raises(InputError, match="^PORT: expected a whole number from 0 to 65535, got -4$"):
            bind_socket("127.0.0.1", -4, {"port": "PORT"})


def test_addresses_are_ones_that_a_browser_takes():
    with bind_socket("0.0.0.0", 0) as place:
        assert server_url(place) == f"http://127.0.0.1:{place.getsockname()[1]}/"
    with bind_socket("localhost", 0) as place:
        assert server_url(place).startswith("http://127.0.0.1:")


def test_an_unknown_operating_point(capsys, bundle_folder):
    assert main(["serve", "--port", "0", "--model", str(bundle_folder), "--operating-point", "fastest"]) == 2
    assert "known policies" in capsys.readouterr().err
    assert main(["serve", "--port", "0", "--model", str(bundle_folder), "--adaptive", "fast"]) == 2
    assert "elbert calibrate" in capsys.readouterr().err


@pytest.mark.parametrize(("torchs", "ours"), [(1, 1), (2, 1), (8, 7)])
def test_one_thread_of_the_processor_is_left_for_http(monkeypatch, torchs, ours):
    monkeypatch.setattr("torch.get_num_threads", lambda: torchs)
    assert serve.default_threads() == ours
    assert settled().threads is None
    assert settled("--threads", "2").threads == 2


OTHER_NAMES = ["login01.cluster.example", "node-7", "localhost.localdomain", "not a host", "-", "7"]


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_machines_name_in_the_environment_is_ignored_and_reported(name, capsys):
    assert settled(HOSTNAME=name).hostname == "127.0.0.1"
    serve.report_machine_name(None, name)
    error = capsys.readouterr().err
    assert error.startswith("elbert: HOSTNAME is the name of a machine")
    assert error.count("\n") == 1


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.2", "::", "::1", "localhost", "LOCALHOST"])
def test_an_address_in_the_environment_is_a_choice(address, capsys):
    assert settled(HOSTNAME=address).hostname == address
    serve.report_machine_name(None, address)
    assert capsys.readouterr().err == ""


def test_this_machines_own_name_is_ignored_without_a_word(capsys):
    own = socket.gethostname().partition(".")[0]
    for name in (own, f"{own}.example", own.upper(), ""):
        serve.report_machine_name(None, name)
    serve.report_machine_name("0.0.0.0", "login01")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HOSTNAME": "192.0.2.1"}, "HOSTNAME is no address of this machine"),
        ({"PORT": "TAKEN"}, "choose another PORT"),
        ({"PORT": "tcp://10.0.0.1:3000"}, "PORT: expected a whole number"),
        ({"MAX_CONNECTIONS": "0"}, "MAX_CONNECTIONS: expected"),
        ({"OPERATING_POINT": "fastest", "PORT": "0"}, "(set in the environment: PORT, OPERATING_POINT)"),
        ({"MODEL_ID": "./nowhere", "PORT": "0"}, "MODEL_ID"),
        ({"REVISION": "main", "PORT": "0"}, "REVISION"),
        ({"ADAPTIVE": "none", "PORT": "0"}, "ADAPTIVE"),
    ],
)
def test_errors_name_the_variable_that_a_setting_comes_from(variables, named, monkeypatch, capsys):
    for flag in FLAGS:
        monkeypatch.delenv(flag.variable, raising=False)
    with bind_socket("127.0.0.1", 0) as place:
        place.listen()
        for name, value in variables.items():
            monkeypatch.setenv(name, str(place.getsockname()[1]) if value == "TAKEN" else value)
        assert main(["serve"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("elbert: error: ")
    assert all(name in named or name in error for name in variables)
    shown = named.strip("()").split(": ")[-1].split(", ") if named.startswith("(") else [named]
    assert all(part in error for part in shown)


def test_errors_name_the_flag_where_it_was_used(monkeypatch, capsys):
    monkeypatch.setenv("HOSTNAME", "192.0.2.1")
    with bind_socket("127.0.0.1", 0) as place:
        place.listen()
        assert main(["serve", "--hostname", "127.0.0.1", "--port", str(place.getsockname()[1])]) == 2
    assert "choose another --port" in capsys.readouterr().err
    assert main(["serve", "--hostname", "192.0.2.1", "--port", "0"]) == 2
    assert "--hostname is no address of this machine" in capsys.readouterr().err
