"""Forms that a processor trains faster are the same functions."""

import pytest
import torch
from small import STILL

from elbert.training.trainer import SHORT, use_fast_forms
from tiny import tiny_model


def gradients(network, ids, mask):
    loss = network(input_ids=ids, attention_mask=mask, labels=torch.tensor([0, 1, 1])).exit_logits.square().mean()
    loss.backward()
    return loss.item(), {name: p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize("longest", [SHORT, SHORT + 1])
@pytest.mark.parametrize("sizes", [{}, {"num_hidden_groups": 2, "inner_group_num": 2}, {"hidden_act": "relu"}])
def test_values_and_gradients_stay(sizes, longest):
    torch.manual_seed(0)
    plain = tiny_model(**STILL, **sizes).train().double()  # in float32 the order of sums differs by processor
    quick = tiny_model(**STILL, **sizes).train().double()
    quick.load_state_dict(plain.state_dict())
    use_fast_forms(quick, longest)
    assert (quick.config._attn_implementation == "eager") == (longest == SHORT)
    ids, mask = torch.randint(5, 20, (3, 9)), torch.ones(3, 9, dtype=torch.long)
    mask[1, 4:] = 0
    loss, expected = gradients(plain, ids, mask)
    again, found = gradients(quick, ids, mask)
    assert again == pytest.approx(loss, abs=1e-6)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=2e-5, rtol=1e-3)
