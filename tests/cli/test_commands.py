"""The list of commands, their help, and elbert env."""

import json

import pytest

import elbert as package
from elbert.cli.main import COMMANDS, main, parser


def run_to_exit(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code, *capsys.readouterr()


def test_help_names_every_command(capsys):
    status, out, err = run_to_exit(capsys, "--help")
    assert (status, err) == (0, "")
    for name, what in COMMANDS.items():
        assert name in out
        assert what.split(",")[0] in " ".join(out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help(capsys, name):
    status, out, err = run_to_exit(capsys, name, "-h")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: elbert {name}")
    assert COMMANDS[name][1:].split(",")[0] in out


def test_version(capsys):
    assert run_to_exit(capsys, "--version") == (0, f"elbert {package.__version__}\n", "")


def test_options_are_not_abbreviated(elbert):
    elbert("predict", "x", "--pol", "full").check_error("unknown argument '--pol', closest to --policy; see")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_misspelt_flag_is_named_with_the_closest(elbert, name):
    """First, whatever else is missing, and with its value in any form: argparse takes one with a space as a text."""
    flags = [flag for flag in parser().commands[name]._option_string_actions if flag[:2] == "--" and flag != "--help"]
    for flag in {flags[0], flags[-1]}:
        wrong = f"{flag}x"
        for words in ([wrong], [wrong, "1"], [f"{wrong}=a b"]):
            elbert(name, *words).check_error(f"unknown argument '{wrong}', closest to {flag}; see elbert {name} -h")


def test_flags_are_misspelt_in_other_ways(elbert):
    elbert("--verison").check_error("unknown argument '--verison', closest to --version; see elbert -h")
    elbert("predict", "x", "--zzzzzzzz").check_error("unknown argument '--zzzzzzzz'; see elbert predict -h")
    elbert("predict", "x", "-y").check_error("unknown argument '-y'; see elbert predict -h")
    elbert("train", "--learning_rat", "1").check_error("'--learning_rat', closest to --learning_rate; see elbert train")
    for usual, own in (("lr", "learning_rate"), ("batch-size", "per_device_train_batch_size"), ("device", "use_cpu")):
        elbert("train", f"--{usual}", "1").check_error(f"'--{usual}', closest to --{own}; see elbert train")
    elbert("train", "--learning_rate", "1").check_error("required: --model, --train, --output")


def test_what_follows_two_dashes_is_text(elbert, bundle_folder):
    result = elbert("predict", "--model", bundle_folder, "--json", "--", "--polcy=full", "--a film")
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == ["--polcy=full", "--a film"]


def test_env(elbert):
    found = json.loads(elbert("env", "--json").out)
    assert found["elbert"] == package.__version__
    assert {"python", "platform", "torch", "transformers", "processor", "cores", "cuda", "bundled model"} <= set(found)
    result = elbert("env")
    assert (result.status, result.err) == (0, "")
    assert [line.split("  ")[0] for line in result.out.splitlines()] == list(found)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["classify"],
        ["predict", "--dtype", "int3", "x"],
        ["predict", "--threads", "x"],
        ["predict", "hi", "--table", "--json"],
        ["train"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_give_one_line(arguments, capsys):
    assert main(arguments) == 2
    out, message = capsys.readouterr()
    assert out == ""
    assert message.startswith("elbert: error: ")
    assert message.count("\n") == 1
    assert " -h" in message
