"""Carry MiniLM, as it is, over into one shared ALBERT layer: a base encoder for any task, made from unlabelled text.

Unlike ``carry_over.py`` no task has a part in it: the teacher was not fine-tuned, and the texts are a packed corpus's
sentences, parts of sentences, passages and pairs. The tokens of depth 2k learn what MiniLM's layer k gives; [CLS] of
every depth learns the mean of the tokens of MiniLM's last layer and of one in its middle, so that one head can read it
everywhere; that of a pair also learns how alike MiniLM finds both segments alone. In the first ``--local`` of the run
each pair of depths learns from the teacher's own states instead, all pairs at once.

    python recipes/pack.py --teacher --corpus CORPUS/*.parquet --output WORK/packed
    python recipes/carry_general.py --packed WORK/packed --minutes 60 --output DIR

The rate is constant and falls in the run's last ``--fall``, so ``--resume`` can continue from the state before it
(``DIR/before-fall``). On several cores, a process each: ``torchrun --nproc-per-node 2 recipes/carry_general.py
--threads 1 …``. ``make gpu-base`` runs it on a CUDA device.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from transformers import AlbertForSequenceClassification, AlbertModel

from labelled import label_batches, label_loss, read_tasks
from packed_corpus import PackedCorpus
from passages import Border, Passages, token_batches
from student import LOG, WIDTH, apart, every_depth, read_weights, save, student_from
from teacher import CLS, SEP, Teacher, mean_over
from together import Together

WARM_UP = 200  # steps
CLIP = 1.0
WHOLE = 0.5  # weight of what [CLS] learns beside what the tokens learn
EMBEDDING = 0.2  # weight of what the embedding learns
LIKENESS = 0.5  # weight of what [CLS] of a pair learns
SHARD = "12MB"  # of a file of weights
SAVE_SECONDS = 60.0
LOG_STEPS = 50
VARIANCE = 0.1  # of the cosines: neighbours, foreign and altered sentences
NO_NAMES = ["LABEL_0", "LABEL_1"]  # transformers' own, which a saved encoder does not mention


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packed", type=Path, required=True, help="what pack.py --teacher wrote")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="continue from this earlier state")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=float, default=float("inf"), help="the run ends after these or the minutes")
    parser.add_argument("--fall", type=float, default=0.25, help="share of the run in which the rate falls")
    parser.add_argument("--local", type=float, default=0.0, help="share of the run in which depths learn apart")
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--task", type=Path, nargs="+", help="parquet of text and label, labels.json beside; in turn")
    parser.add_argument("--task-share", type=float, default=0.2, help="of the steps")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16", help="of products")
    parser.add_argument("--tokens", type=int, default=2048, help="of a batch, whose rows are of one length")
    parser.add_argument("--batches", type=int, default=1, help="of a step")
    parser.add_argument("--longest", type=int, default=256, help="tokens of a row")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="one is best beside other work")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw texts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stop-file", type=Path, help="when this file appears the rate begins to fall")
    return parser


class Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """``(ids, types)`` of :func:`token_batches`; each process that draws texts has a seed of its own."""

    def __init__(self, corpus: PackedCorpus, longest: int, tokens: int, seed: int) -> None:
        self.corpus, self.longest, self.tokens, self.seed = corpus, longest, tokens, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        seed = self.seed + (0 if worker is None else worker.id)
        return token_batches(Passages(self.corpus, Border(CLS, SEP), self.longest, seed).rows(), self.tokens)


Student = AlbertForSequenceClassification
States = tuple[Tensor, ...]
"""What the teacher has after its embedding and each layer, ``[rows, tokens, width]`` each."""


def whole_loss(model: Student, states: States, ids: Tensor, types: Tensor, likeness: Likeness | None = None) -> Tensor:
    """Tokens against the teacher's layers, [CLS] of every depth against the teacher's vector of the whole text.

    Rows ``[rows, tokens]`` are of one length, without padding. One target for [CLS] at all depths, because one exit
    head reads them all.
    """
    hidden = every_depth(model, ids, torch.ones_like(ids), types)
    tokens = torch.stack([apart(hidden[2 * k][:, 1:], states[k][:, 1:]) for k in range(1, len(states))]).mean()
    texts = text_vectors(states)
    whole = torch.stack([apart(h[:, 0], texts) for h in hidden[1:]]).mean()
    pairs = 0.0 if likeness is None else LIKENESS * likeness(torch.stack([h[:, 0] for h in hidden[1:]]), ids, types)
    return tokens + WHOLE * whole + EMBEDDING * apart(hidden[0], states[0]) + pairs


class Likeness:
    """What [CLS] of a pair learns: how alike the teacher finds both segments, the cosine of its vectors of each alone.

    MiniLM never saw pairs in one row, so its states of a pair do not say how the segments relate. ``reader`` reads the
    cosine from [CLS]; it learns beside the model, and is left out of it.
    """

    def __init__(self, teacher: Teacher) -> None:
        self.teacher, self.reader = teacher, nn.Linear(teacher.bert.config.hidden_size, 1)

    def __call__(self, cls: Tensor, ids: Tensor, types: Tensor) -> Tensor:
        """The loss of [CLS] ``[depths, rows, width]`` of a batch: squared error over the cosines' variance in a corpus.

        0 without pairs, with gradients of 0: every process averages the same tensors.
        """
        rows = types.any(1).nonzero().squeeze(1)
        found = self.reader(cls[:, rows].float()).squeeze(-1)
        if not len(rows):
            return found.sum()
        return nn.functional.mse_loss(found, self.compare(ids[rows], types[rows]).expand_as(found)) / VARIANCE

    @torch.no_grad()
    def compare(self, ids: Tensor, types: Tensor) -> Tensor:
        """The cosine of both segments of each row, ``[rows]``."""
        segments = []
        for row, first in zip(ids, (types == 0).sum(1).tolist(), strict=True):
            segments += [row[:first], torch.cat((row[:1], row[first:]))]  # both begin with [CLS] and end with [SEP]
        alone = nn.utils.rnn.pad_sequence(segments, batch_first=True)
        lengths = torch.tensor([len(segment) for segment in segments], device=ids.device)
        mask = torch.arange(alone.shape[1], device=ids.device) < lengths[:, None]
        vectors = mean_over(self.teacher.bert(alone, attention_mask=mask.long()).last_hidden_state.float(), mask)
        return nn.functional.cosine_similarity(vectors[::2], vectors[1::2])


def text_vectors(states: States) -> Tensor:
    """What [CLS] learns, ``[rows, width]``: the tokens' mean of the last layer and of two thirds of the layers.

    The last layer was trained to separate sentences of unlike meaning, and has lost what else a text says. A linear
    map on 500 rows reads from the last one, the middle one and both, %: TREC-6 78.0, 86.7, 84.0; CR 76.7, 78.3, 80.7;
    SUBJ 90.7, 92.0, 91.3; Banking77 77.7, 62.7, 75.7.
    """
    last, middle = (states[place].float().mean(1) for place in (-1, round((len(states) - 1) * 2 / 3)))
    return (last + middle * (last.std() / middle.std())) / 2


def local_loss(model: Student, states: States, ids: Tensor, types: Tensor) -> Tensor:
    """The shared layer, applied twice to the teacher's state before each of its layers, against the state after it.

    All layers of the teacher at once: what is learned at one depth does not wait for the depths before it.
    """
    layer = model.albert.encoder.albert_layer_groups[0]
    hidden = layer(layer(torch.cat(states[:-1]), None), None)
    count = len(states) - 1
    tokens = [apart(found[:, 1:], state[:, 1:]) for found, state in zip(hidden.chunk(count), states[1:], strict=True)]
    embedded = model.albert.encoder.embedding_hidden_mapping_in(model.albert.embeddings(ids, types))
    return torch.stack(tokens).mean() + EMBEDDING * apart(embedded, states[0])


def teacher_loss(
    model: Student,
    ids: Tensor,
    types: Tensor,
    *,
    teacher: Teacher,
    find_loss: Callable[[Student, States, Tensor, Tensor], Tensor],
) -> Tensor:
    """The loss of a batch against what the teacher gives for it."""
    with torch.no_grad():
        outputs = teacher.bert(input_ids=ids, token_type_ids=types, output_hidden_states=True)
    return find_loss(model, outputs.hidden_states, ids, types)


def backward(
    model: Student,
    find_loss: Callable[[Student, Tensor, Tensor], Tensor],
    batches: list[tuple[Tensor, Tensor]],
    halves: bool,
) -> Tensor:
    """Add the gradients of the batches' mean loss, and return it."""
    device, total = model.device, torch.zeros((), device=model.device)
    for batch in batches:
        first, second = (part.to(device, non_blocking=True) for part in batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=halves):
            loss = find_loss(model, first, second) / len(batches)
        loss.backward()
        total += loss.detach()
    return total


class Rate:
    """Constant after a warm-up; falls to 0 in the last share of the run, or once the stop file appears.

    The run ends after so many minutes or steps, whichever comes first.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.top, self.fall, self.stop = args.rate, args.fall, args.stop_file
        self.seconds, self.steps = args.minutes * 60, args.steps
        self.begun = time.monotonic()
        self.done, self.falls_from = 0.0, 1 - args.fall

    def __call__(self, step: int) -> float:
        elapsed = time.monotonic() - self.begun
        self.done = max(elapsed / self.seconds if self.seconds else 1.0, step / self.steps)
        if self.done < self.falls_from and self.stop is not None and self.stop.exists():
            self.falls_from = self.done
        fallen = (self.done - self.falls_from) / self.fall if self.fall else float(self.done >= 1)
        return self.top * min(1.0, 1 - fallen) * min(1.0, (step + 1) / WARM_UP)

    @property
    def is_falling(self) -> bool:
        """Whether the fall has begun."""
        return self.done >= self.falls_from


def keep(model: Student, log: list[dict[str, float]], folder: Path, tokenizer: Path, *, whole: bool = False) -> None:
    """The encoder's folder in float16 with its log: the folder has its name when all of it is written.

    Without a task the classifier learned nothing. So it is left out unless ``whole``: training on labels starts one.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    config = deepcopy(model.config)
    if not whole:
        config.id2label, config.label2id = dict(enumerate(NO_NAMES)), {name: i for i, name in enumerate(NO_NAMES)}
    kept, made = (model, Student(config)) if whole else (model.albert, AlbertModel(config))
    made.half().load_state_dict({name: value.half() for name, value in kept.state_dict().items()})
    save(made, temporary, tokenizer, shard=SHARD)
    (temporary / LOG).write_text(json.dumps(log, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def load(model: Student, folder: Path) -> None:
    """Take the encoder's weights of an earlier state or of a classifier, in one file or several."""
    weights = {name.removeprefix("albert."): value.float() for name, value in read_weights(folder).items()}
    if not weights:
        raise SystemExit(f"{folder}: no weights (*.safetensors) to continue from")
    model.albert.load_state_dict({name: weights[name] for name in model.albert.state_dict() if name in weights})
    head = {name: weights.get(f"classifier.{name}") for name in ("weight", "bias")}
    if head["weight"] is not None and head["weight"].shape == model.classifier.weight.shape:
        model.classifier.load_state_dict(head)


def main() -> None:
    args = parser().parse_args()
    with Together() as together:
        carry(args, together)


def make_models(args: argparse.Namespace, corpus: PackedCorpus, names: list[str]) -> tuple[Teacher, Student]:
    """The teacher, and the student in its starting state or that of an earlier run."""
    counts = torch.bincount(torch.from_numpy(corpus.tokens[:5_000_000].astype("int64")), minlength=len(corpus.begins))
    teacher = Teacher(len(names), args.packed / "teacher").eval().requires_grad_(False)
    model = student_from(
        teacher,
        len(names),
        counts.float(),
        names,
        attention="eager" if args.device == "cpu" else "sdpa",
        width=min(WIDTH, teacher.bert.config.hidden_size),
    ).train()
    if args.resume:
        load(model, args.resume)
    return teacher, model


class Log:
    """What a run prints and keeps every :data:`LOG_STEPS` steps: the last loss, and that of the last step of labels."""

    def __init__(self) -> None:
        self.entries: list[dict[str, float]] = []
        self.losses: dict[str, float] = {}
        self.begun = time.monotonic()

    def add(self, step: int, tokens: int, rate: float) -> None:
        """Keep and print an entry."""
        seconds = max(time.monotonic() - self.begun, 1e-9)
        losses = {name: round(loss, 4) for name, loss in self.losses.items()}
        self.entries.append({"step": step, "tokens": tokens, **losses, "seconds": round(seconds)})
        print(self.entries[-1], f"rate {rate:.1e}", f"{tokens / seconds:.0f} tokens/s", flush=True)


def carry(args: argparse.Namespace, together: Together) -> None:
    """All of it, in one of the processes."""
    rate = Rate(args)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads or torch.get_num_threads())
    corpus, folder = PackedCorpus.read(args.packed), args.packed / "teacher"
    tasks = read_tasks(args.task or [], folder, args.longest)
    names = tasks[0].names if tasks else NO_NAMES
    teacher, model = make_models(args, corpus, names)
    likeness = Likeness(teacher)
    teacher.to(args.device), model.to(args.device), likeness.reader.to(args.device)
    parameters = [*model.parameters(), *likeness.reader.parameters()]
    together.take_firsts([parameter.data for parameter in parameters])
    optimizer = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    seed = args.seed * 1000 + together.rank * 100
    dataset = Batches(corpus, args.longest, args.tokens, seed)
    labelled = label_batches(tasks, args.tokens, seed) if tasks else None
    is_parallel = {"prefetch_factor": 8} if args.workers else {}
    batches = iter(DataLoader(dataset, None, num_workers=args.workers, pin_memory=args.device != "cpu", **is_parallel))
    log = Log()
    write = partial(keep, model, log.entries, tokenizer=folder)
    tokens, kept, saved, step = 0, False, time.monotonic(), 0
    while (now := together.agreed(rate(step))) > 0.0:
        if together.first and rate.is_falling and not kept:
            write(args.output / "before-fall")
            kept = True
        for group in optimizer.param_groups:
            group["lr"] = now
        is_local = together.agreed(float(rate.done < args.local))  # both losses have gradients of other tensors
        # Every share-th step, by the count of steps, so that all processes agree.
        is_task = labelled is not None and int((step + 1) * args.task_share) > int(step * args.task_share)
        compare = local_loss if is_local else partial(whole_loss, likeness=likeness)
        drawn = [next(labelled if is_task and labelled else batches) for _ in range(args.batches)]
        find_loss = label_loss if is_task else partial(teacher_loss, teacher=teacher, find_loss=compare)
        total = backward(model, find_loss, drawn, args.precision == "bfloat16")
        log.losses["task_loss" if is_task else "loss"] = float(total)
        tokens += sum(ids.numel() for ids, _ in drawn) * together.size
        together.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if not together.first or (step > 1 and step % LOG_STEPS and rate(step) > 0):
            continue
        log.add(step, tokens, now)
        if time.monotonic() - saved > SAVE_SECONDS:
            write(args.output / "latest")
            saved = time.monotonic()
    if together.first:
        write(args.output / "base")
        if tasks:
            write(args.output / "classifier", whole=True)
        print(f"end: {tokens:,} tokens in {step} steps, loss {log.losses.get('loss', 0.0):.4f}")


if __name__ == "__main__":
    main()
