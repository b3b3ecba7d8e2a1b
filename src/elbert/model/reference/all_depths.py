"""A mixin that adds logits at every depth to a classifier of transformers, for all model families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.modeling_outputs import SequenceClassifierOutput

from elbert.tasks import TASKS, Task, infer_problem

# transformers' Trainer concatenates the outputs of batches along their first axis, which is the depth in exit_logits,
# and passes them to compute_metrics. Configurations name what it leaves out.
NOT_FOR_METRICS = ["exit_logits"]


@dataclass
class ElbertOutput(SequenceClassifierOutput):
    """transformers' classifier output plus ``exit_logits [depths, rows, classes]``.

    ``logits [rows, classes]`` are those of the last depth. Both have the axis ``tokens`` before the classes in token
    classifiers.
    """

    exit_logits: Tensor | None = None


class AllDepthsMixin:
    """Applies the head of a transformers classifier to every depth; it adds no parameters.

    It comes before the classifier in the list of base classes. A family implements :meth:`read`, which applies its
    head; the encoder is the one of transformers.
    """

    config: Any
    base_model: Any
    accepts_loss_kwargs = False  # the loss is a mean over the rows of a batch, whatever the number of batches in a step
    has_segments = True  # whether the encoder takes token_type_ids, the index of a token's text in a pair

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
        """Compute the logits of every depth and, with ``labels``, the task loss summed over depths (all weights 1).

        ``input_ids, attention_mask, token_type_ids [rows, tokens]``. Training objectives with other weights use
        ``Task.losses`` of ``exit_logits`` instead of this loss.
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
            task = self.find_task(exit_logits, labels)
            loss = task.losses(*task.select_answers(exit_logits, labels)).sum()
        keep_hidden = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        result = ElbertOutput(
            loss=loss,
            logits=exit_logits[-1],
            hidden_states=out.hidden_states if keep_hidden else None,
            attentions=out.attentions,
            exit_logits=exit_logits,
        )
        as_dict = self.config.return_dict if return_dict is None else return_dict
        return result if as_dict else result.to_tuple()

    def find_task(self, exit_logits: Tensor, labels: Tensor) -> Task:
        """Return the task of the configuration; without one, that of the labels, which is then configured."""
        problem = self.config.problem_type or infer_problem(
            exit_logits.shape[-1], has_vectors=labels.is_floating_point()
        )
        self.config.problem_type = problem
        return TASKS[problem]

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """Compute logits ``[depths, rows, classes]`` from hidden states ``[rows, tokens, width]``, one per depth."""
        raise NotImplementedError

    def _depths(self, hidden_states: tuple[Tensor, ...]) -> list[Tensor]:
        return list(hidden_states[1:])  # the first entry is the output of the embeddings
