"""What runs on a CUDA device, as far as it can be run without one: stand-ins for the device's own functions."""

import pytest
import torch

from elbert.bundle import Bundle
from elbert.inference import HeadOutput
from elbert.model import Layout
from elbert.model.cuda import Fixed, GraphReplay, VarlenKernels
from elbert.model.kernels import TorchKernels


def attend_by_spans(query, key, value, starts, ends, longest, _):
    """What flash attention promises, row by row; tokens of no row get what was in memory before."""
    assert starts.dtype == ends.dtype == torch.int32
    out = torch.full_like(query, torch.nan)
    for start, end in zip(starts[:-1].tolist(), ends[1:].tolist()):
        assert end - start <= longest
        q, k, v = (t[start:end].float().transpose(0, 1) for t in (query, key, value))
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        out[start:end] = mixed.transpose(0, 1).to(out.dtype)
    return out


@pytest.mark.parametrize("lengths", [[1], [7, 1, 30], [16] * 4])
def test_attention_without_padding(lengths):
    layout = Layout.from_lengths(lengths)
    qkv = torch.randn(layout.size, 3 * 32).bfloat16()
    ours = VarlenKernels(attend_by_spans).attend(qkv, layout, 4)[: layout.tokens]
    plain = TorchKernels(torch.bfloat16).attend(qkv, layout, 4)[: layout.tokens]
    torch.testing.assert_close(ours, plain, atol=0.03, rtol=0.03)


def test_a_replay_gives_what_the_step_gives_at_every_size():
    recorded = []

    def record(run):
        """A graph's habits: it runs when replayed, on the same memory, and its result lies in the same place."""
        result = torch.empty_like(run())
        recorded.append(result.shape)
        return lambda: result.copy_(run()), result

    def step(hidden, layout, group):
        mixed = VarlenKernels(attend_by_spans).attend(hidden.repeat(1, 3), layout, 4)
        return hidden * (group + 1) + mixed

    replayed = GraphReplay(step, record)
    generator, sizes = torch.Generator().manual_seed(0), 0
    for trial in range(150):
        lengths = torch.randint(1, 40, (int(torch.randint(1, 20, (1,), generator=generator)),), generator=generator)
        layout = Layout.from_lengths(lengths.tolist())
        hidden = torch.randn(layout.size, 32, generator=generator)
        group = trial % 2
        before = replayed(hidden, layout, group)
        kept = before.clone()
        expected = step(hidden, Fixed(layout.bounds, layout.longest), group)
        torch.testing.assert_close(before[: layout.tokens], expected[: layout.tokens])
        replayed(hidden + 1, layout, group)
        assert torch.equal(before[: layout.tokens], kept[: layout.tokens]), (
            "a later replay wrote over an earlier answer"
        )
        sizes += 1
    assert len(recorded) < 0.8 * sizes  # sizes are met again


def test_the_output_is_on_the_host():
    logits = torch.log(torch.tensor([[0.2, 0.8]]))
    output = HeadOutput.start_copy(logits, Bundle.open().config)
    assert output.wait().tolist() == [[pytest.approx(0.2), pytest.approx(0.8)]]
    assert output.logits.tolist() == logits.tolist()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_device(bundle_folder):
    from elbert import Classifier
    from tiny import texts

    sentences = texts(60)
    here = Classifier.load(bundle_folder, "entropy(0.4)", dtype="float32", device="cpu").predict(sentences)
    there = Classifier.load(bundle_folder, "entropy(0.4)", dtype="float32", device="cuda").predict(sentences)
    assert [(p.label, p.depth) for p in there] == [(p.label, p.depth) for p in here]
    near = Classifier.load(bundle_folder, "full", dtype="bfloat16", device="cuda").predict(sentences)
    assert all(abs(a.score - b.score) < 0.1 for a, b in zip(near, here) if a.label == b.label)
