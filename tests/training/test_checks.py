"""What can only fail later is found before training begins: one line, status 2, and nothing is left behind."""

import json
import os
import resource
from dataclasses import fields

import pytest
from small import MILD, STILL, arguments, rows, run, weights_of, write_rows
from transformers import TrainerCallback, TrainingArguments

from elbert.classifier import Classifier
from elbert.cli.main import main
from elbert.errors import InputError
from elbert.training import run as run_module
from elbert.training.checks import RANGES, REQUIRED, is_write_error
from elbert.training.depth_report import DepthReport
from tiny import write_bundle

# Flags, and what the one line says. Packages named here are not installed where the tests run.
REJECTED = [
    *(
        (f"--metric_for_best_model {name}", "expected one of area, accuracy, loss, depth_1")
        for name in ("f1", "eval_f1")
    ),
    ("--metric_for_best_model eval_depth_7", "expected one of area"),
    ("--metric_for_best_model f1 --load_best_model_at_end False", "expected one of area"),
    *((f"--report_to {name}", name) for name in ("wandb", "mlflow", "tensorboard", "nonsense")),
    ("--save_strategy steps", "expected the same for both, or load_best_model_at_end false"),
    ("--eval_strategy no", "save_strategy and eval_strategy differ"),
    ("--num_train_epochs -1", "num_train_epochs is -1.0"),
    ("--num_train_epochs 0", "num_train_epochs is 0"),
    ("--num_train_epochs nan", "num_train_epochs is nan"),
    ("--num_train_epochs inf", "num_train_epochs is inf"),
    ("--max_steps 0", "max_steps is 0"),
    ("--max_steps -3", "max_steps is -3"),
    *((f"--{name} 0", f"{name} is 0") for name in ("per_device_train_batch_size", "per_device_eval_batch_size")),
    ("--per_device_train_batch_size -4", "per_device_train_batch_size is -4"),
    ("--gradient_accumulation_steps 0", "gradient_accumulation_steps is 0"),
    ("--learning_rate nan", "learning_rate is nan"),
    ("--learning_rate -1", "learning_rate is -1"),
    ("--weight_decay inf", "weight_decay is inf"),
    ("--adam_beta1 1.5", "adam_beta1 is 1.5"),
    ("--max_grad_norm -1", "max_grad_norm is -1"),
    ("--warmup_steps -1", "warmup_steps"),
    ("--label_smoothing_factor 1.5", "label_smoothing_factor is 1.5"),
    ("--seed -1", "seed is -1"),
    ("--seed 99999999999", "seed is 99999999999"),
    ("--save_total_limit 0", "save_total_limit is 0"),
    ("--save_steps 0", "save_steps"),
    ("--logging_steps -1", "logging_steps"),
    ("--prediction_loss_only True", "prediction_loss_only is True"),
    ("--batch_eval_metrics True", "batch_eval_metrics is True"),
    ("--eval_do_concat_batches False", "eval_do_concat_batches is False"),
    ("--label_names answers", "label_names is ['answers']"),
    ("--optim adamw_bnb_8bit", "bitsandbytes"),
    ("--optim galore_adamw", "alore"),
    ("--optim adamw_torc", "--optim is 'adamw_torc', closest to adamw_torch; expected one of adamw_torch, "),
    ("--optim_args nonsense", "optim_args"),
    ("--lr_scheduler_type nonsense", "nonsense"),
    ('--lr_scheduler_type cosine_with_min_lr --lr_scheduler_kwargs {"nonsense":1}', "nonsense"),
    ("--lr_scheduler_type reduce_lr_on_plateau --weighting learned", "weight_schedule 'same'"),
    ("--deepspeed nowhere.json", "the package deepspeed is not installed"),
    ("--fsdp full_shard --fsdp_config nowhere.json", "nowhere.json"),
    ("--accelerator_config nowhere.json", "nowhere.json"),
    ("--use_liger_kernel True", "iger"),
    ("--fp16 True --bf16 True", "fp16"),
    ("--dataloader_prefetch_factor 2", "prefetch"),
    ("--dataloader_drop_last True --per_device_train_batch_size 64", "lower --per_device_train_batch_size"),
    ("--dataloader_drop_last True --per_device_train_batch_size 4", "lower --per_device_eval_batch_size"),
    ("--resume_from_checkpoint nowhere", "nowhere: no checkpoint"),
    ("--max-length 0", "max_length is 0"),
    ("--max-length 2", "max_length is 2"),
    ("--max-length 65", "the model takes at most 64 tokens"),
    ("--max-length 100000", "the model takes at most 64 tokens"),
    ("--weight-rate inf", "weight_rate is inf"),
    ("--temperature nan", "temperature is nan"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_bundle(folder / "start", **STILL, **MILD)
    write_rows(folder / "rows.jsonl", rows(16))
    return folder


def call(files, output, *flags):
    command = ["train", "--model", files / "start", "--output", output, "--use_cpu", "--num_train_epochs", "1"]
    return main([str(part) for part in (*command, *data_flags(files), *flags)])


def data_flags(files):
    return ("--train", files / "rows.jsonl", "--validation", files / "rows.jsonl")


@pytest.mark.parametrize(("flags", "message"), REJECTED, ids=[flags for flags, _ in REJECTED])
def test_a_flag_that_can_only_fail_later_is_reported_before(files, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DepthReport, "on_step_end", lambda *_, **__: pytest.fail("training has begun"), raising=False)
    status = call(files, tmp_path / "out", *flags.split(" "))
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("elbert: ")]
    assert (status, out, len(lines)) == (2, "", 1), err
    assert lines[0].startswith("elbert: error: ")
    assert message in lines[0]
    assert len(lines[0]) < 1000
    assert "Traceback" not in err
    assert "epoch" not in err.replace("num_train_epochs", "")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_number_of_a_flag_is_checked_or_harmless():
    """Names of the tables exist in this release of transformers."""
    names = {field.name for field in fields(TrainingArguments)}
    assert {*RANGES, *REQUIRED} <= names


@pytest.mark.parametrize("where", ["file", "file/deeper", "null"])
def test_an_output_that_cannot_be_written(files, tmp_path, capsys, where):
    (tmp_path / "file").touch()
    output = "/dev/null/out" if where == "null" else tmp_path / where
    assert call(files, output) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is a file; expected the name of a folder" in line
    assert "--output" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_output_without_permission(files, tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert call(files, tmp_path / "out") == 2
    assert "Permission denied" in capsys.readouterr().err
    tmp_path.chmod(0o700)


def test_a_loss_as_the_metric_is_minimised(tmp_path):
    assert arguments(tmp_path, metric_for_best_model="loss").greater_is_better is False
    assert arguments(tmp_path, metric_for_best_model="depth_2").greater_is_better is True


def test_the_default_length_is_what_the_model_takes(tmp_path):
    run(tmp_path, tmp_path / "out", max_steps=1)
    assert Classifier.load(tmp_path / "out").tokeniser.max_length == 64


def test_the_trial_leaves_no_trace_in_the_run(tmp_path, monkeypatch):
    flags = {"num_train_epochs": 1, "learning_rate": 1e-3}
    write_bundle(tmp_path / "start", **MILD)  # with dropout, so that random numbers matter
    with_trial, _ = run(tmp_path, tmp_path / "with", **flags)
    monkeypatch.setattr(run_module.Rehearsal, "on_train_begin", lambda *_, **__: None)
    without, _ = run(tmp_path, tmp_path / "without", **flags)
    first, second = weights_of(tmp_path / "with"), weights_of(tmp_path / "without")
    assert all(first[name].equal(second[name]) for name in first)
    assert with_trial.keys() == without.keys()
    histories = [
        json.loads((tmp_path / name / "checkpoint-6" / "trainer_state.json").read_text())["log_history"]
        for name in ("with", "without")
    ]
    assert [sorted(entry) for entry in histories[0]] == [sorted(entry) for entry in histories[1]]


def test_an_error_after_the_first_step_is_not_blamed_on_the_arguments(tmp_path, monkeypatch):
    class Failing(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 1:
                raise ZeroDivisionError("a fault of the program")

    class WithFault(run_module.ElbertTrainer):
        def __init__(self, **options):
            super().__init__(**options)
            self.add_callback(Failing())

    monkeypatch.setattr(run_module, "ElbertTrainer", WithFault)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, tmp_path / "out")


def test_too_little_memory_is_reported_with_the_remedy(tmp_path, monkeypatch):
    import torch

    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(run_module.ElbertTrainer, "training_step", fail)
    with pytest.raises(InputError, match="too little memory .*lower --per_device_train_batch_size"):
        run(tmp_path, tmp_path / "out")


# --- full disks -----------------------------------------------------------------------------------------------------


def test_errors_of_the_libraries_that_write():
    from safetensors import SafetensorError

    assert is_write_error(OSError(28, "No space left on device"))
    assert is_write_error(SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"))
    assert is_write_error(RuntimeError("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed"))
    assert not is_write_error(FileNotFoundError(2, "No such file"))
    assert not is_write_error(SafetensorError("Error while deserializing header: HeaderTooLarge"))
    assert not is_write_error(RuntimeError("shape mismatch"))


@pytest.fixture
def bound_files():
    """Bounds the size of files: writing fails at the same calls as on a full disk, with another number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda kilobytes: resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# The first file that does not fit: the weights, the optimizer's state, of a checkpoint or of the model.
@pytest.mark.parametrize(
    "flags", ["", "--save_strategy no --load_best_model_at_end False"], ids=["checkpoint", "model"]
)
@pytest.mark.parametrize("kilobytes", [1, 20, 70], ids=lambda size: f"{size} kB")
def test_a_disk_that_is_full_is_one_line_and_leaves_no_part(files, tmp_path, capsys, bound_files, kilobytes, flags):
    bound_files(kilobytes)
    status = call(files, tmp_path / "out", *flags.split(), "--max_steps", "2")
    err = capsys.readouterr().err
    if flags and kilobytes == 70:
        assert status == 0  # the model fits, only the optimizer's state is larger
        return
    assert status == 2, err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("elbert: error: ")
    assert "cannot be written" in last
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
