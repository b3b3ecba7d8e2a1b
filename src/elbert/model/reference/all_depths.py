"""What makes a sequence classifier of transformers answer at every depth: the reference, whatever the family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.modeling_outputs import SequenceClassifierOutput

from elbert.model.reference.losses import depth_losses, infer_problem


@dataclass
class ElbertOutput(SequenceClassifierOutput):
    """transformers' classifier output with ``exit_logits [depths, rows, classes]``; ``logits`` are the last depth's."""

    exit_logits: Tensor | None = None


class AllDepthsMixin:
    """Stands before one of transformers' classifiers: its head reads every depth, and it gains no parameter by that.

    A family says how its head reads (:meth:`read`); its encoder is transformers' own.
    """

    config: Any
    base_model: Any
    has_segments = True  # whether the encoder knows which text of a pair a token belongs to

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> ElbertOutput | tuple[Any, ...]:
        """Logits of every depth; with ``labels``, the sum over depths of the task loss (all weights 1).

        ``input_ids, attention_mask, token_type_ids [rows, tokens]``. Trainers weigh the depths themselves.
        """
        if self.has_segments:
            kwargs["token_type_ids"] = token_type_ids
        out = self.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            output_hidden_states=True,
            return_dict=True,
            **kwargs,
        )
        exit_logits = self.read(self._depths(out.hidden_states), attention_mask)
        loss = None
        if labels is not None:
            problem = infer_problem(self.config.problem_type, exit_logits.shape[-1], labels)
            self.config.problem_type = problem
            loss = depth_losses(exit_logits, labels, problem).sum()
        keep_hidden = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        result = ElbertOutput(
            loss=loss,
            logits=exit_logits[-1],
            hidden_states=out.hidden_states if keep_hidden else None,
            attentions=out.attentions,
            exit_logits=exit_logits,
        )
        named = self.config.return_dict if return_dict is None else return_dict
        return result if named else result.to_tuple()

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """``[depths, rows, classes]`` from the hidden rows ``[rows, tokens, width]`` of every depth."""
        raise NotImplementedError

    def _depths(self, hidden_states: tuple[Tensor, ...]) -> list[Tensor]:
        return list(hidden_states[1:])  # before them, the embedding's own rows
