"""Carry MiniLM, as it is, over into one shared ALBERT layer: a base encoder for any task, made from unlabelled text.

Unlike ``carry_over.py`` no task has a part in it: the teacher was not fine-tuned, and the texts are a corpus's
sentences, parts of sentences, passages and pairs. The tokens of depth 2k learn what MiniLM's layer k gives; [CLS] of
every depth learns the mean of the tokens of MiniLM's last layer, so that one head can read it everywhere. The rate is
constant and falls in the run's last ``--fall``, so ``--resume`` can go on from the state before it
(``DIR/before-fall``).

    python recipes/carry_general.py --corpus CORPUS/*.parquet --minutes 60 --output DIR

On several cores, a process each: ``torchrun --nproc-per-node 2 recipes/carry_general.py --threads 1 …``.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AlbertForSequenceClassification

from carry_over import apart
from passages import passages, token_batches
from student import every_depth, save, student_from
from teacher import Teacher, load_tokenizer
from together import Together

LONGEST = 128  # tokens
WARM_UP = 200  # steps
CLIP = 1.0
WHOLE = 0.5  # weight of what [CLS] learns beside what the tokens learn
SAMPLE = 20_000  # passages whose words are counted for the factorised embedding


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True, help="parquet files with a column text")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="go on from this earlier state")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--fall", type=float, default=0.25, help="share of the minutes in which the rate falls")
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--tokens", type=int, default=2048, help="of a batch")
    parser.add_argument("--threads", type=int, help="one is best beside other work")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stop-file", type=Path, help="when this file appears the rate begins to fall")
    return parser


def hidden_loss(model: AlbertForSequenceClassification, teacher: Teacher, ids: Tensor, types: Tensor) -> Tensor:
    """Tokens against the teacher's layers, [CLS] of every depth against the teacher's vector of the whole text.

    Rows ``[rows, tokens]`` are of one length, without padding. One target for [CLS] at all depths, because one exit
    head reads them all.
    """
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            targets = teacher.bert(input_ids=ids, token_type_ids=types, output_hidden_states=True).hidden_states
        hidden = every_depth(model, ids, torch.ones_like(ids), types)
    tokens = torch.stack([apart(hidden[2 * k][:, 1:], targets[k][:, 1:]) for k in range(1, 7)]).mean()
    texts = targets[-1].float().mean(1)
    whole = torch.stack([apart(h[:, 0], texts) for h in hidden[1:]]).mean()
    return tokens + WHOLE * whole + 0.2 * apart(hidden[0], targets[0])


def word_counts(rows: Iterator[tuple[list[int], list[int]]], vocabulary: int) -> Tensor:
    """How often each word occurs in some passages."""
    counts = torch.zeros(vocabulary)
    for _ in range(SAMPLE):
        counts += torch.bincount(torch.tensor(next(rows)[0]), minlength=vocabulary)
    return counts


class Rate:
    """Constant after a warm-up; falls to 0 in the last share of the time, or once the stop file appears."""

    def __init__(self, top: float, minutes: float, fall: float, stop: Path | None) -> None:
        self.top, self.stop = top, stop
        self.falling = minutes * 60 * fall
        self.from_ = time.monotonic() + minutes * 60 - self.falling
        self.is_stopping = False

    def __call__(self, step: int) -> float:
        now = time.monotonic()
        if not self.is_stopping and self.stop is not None and self.stop.exists():
            self.from_, self.is_stopping = min(self.from_, now), True
        left = 1.0 if now < self.from_ else max(1 - (now - self.from_) / max(self.falling, 1.0), 0.0)
        return self.top * left * min(1.0, (step + 1) / WARM_UP)

    @property
    def fallen(self) -> bool:
        """Whether the fall has begun."""
        return time.monotonic() >= self.from_


def keep(model: AlbertForSequenceClassification, log: list[dict[str, float]], folder: Path) -> None:
    """The model's folder with its log, whole."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    save(model, partial)
    (partial / "carried.json").write_text(json.dumps(log, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def main() -> None:
    args = parser().parse_args()
    with Together() as together:
        carry(args, together)


def carry(args: argparse.Namespace, together: Together) -> None:
    """All of it, in one of the processes."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads or torch.get_num_threads())
    rng = random.Random(args.seed + 1000 * together.rank)
    tokenizer = load_tokenizer(LONGEST)
    corpora = [pq.read_table(file, columns=["text"])["text"].to_pylist() for file in args.corpus]
    teacher = Teacher(2)
    teacher.eval().requires_grad_(False)
    rows = passages(corpora, tokenizer, rng)
    model = student_from(teacher, 2, word_counts(rows, teacher.bert.config.vocab_size), ["0", "1"]).train()
    parameters = list(model.parameters())
    if args.resume:
        model.load_state_dict(load_file(args.resume / "model.safetensors"))
    together.take_firsts([parameter.data for parameter in parameters])  # each counted the words of its own texts
    optimizer = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    rate, begun, tokens, running = Rate(args.rate, args.minutes, args.fall, args.stop_file), time.monotonic(), 0, 0.0
    log: list[dict[str, float]] = []
    kept, saved = False, begun
    for step, (ids, types) in enumerate(token_batches(rows, args.tokens)):
        if (now := together.agreed(rate(step))) <= 0.0:
            break
        if together.first and rate.fallen and not kept:
            keep(model, log, args.output / "before-fall")
            kept = True
        for group in optimizer.param_groups:
            group["lr"] = now
        loss = hidden_loss(model, teacher, ids, types)
        loss.backward()
        together.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad()
        tokens += ids.numel() * together.size
        running += (loss.item() - running) / min(step + 1, 50)
        if not together.first:
            continue
        if step % 50 == 49:
            seconds = time.monotonic() - begun
            log.append({"step": step + 1, "tokens": tokens, "loss": round(running, 4), "seconds": round(seconds)})
            print(log[-1], f"rate {now:.1e}", f"{tokens / seconds:.0f} tokens/s", flush=True)
        if time.monotonic() - saved > 300:
            keep(model, log, args.output / "latest")
            saved = time.monotonic()
    if together.first:
        keep(model, log, args.output / "base")
        print(f"end: {tokens:,} tokens, loss {running:.4f}")


if __name__ == "__main__":
    main()
