"""Train a small text encoder to tell apart the words of a prompt, before it is frozen.

A random encoder of bytes says little that cross-attention can use; one that can name the words of
a prompt says all that the tiny world's pictures depend on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from hiar.codecs.text import tokenize
from hiar.training.optimise import backward_and_step, warmup_cosine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    LabelledPrompt = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class TextTrainConfig:
    """Settings of one text-encoder training run."""

    steps: int = 700
    batch_size: int = 48
    learning_rate: float = 3e-3
    warmup_steps: int = 50


def train_text_encoder(
    model: Any,
    tokenizer: Any,
    text_len: int,
    class_sizes: Sequence[int],
    draw: Callable[[], LabelledPrompt],
    config: TextTrainConfig,
) -> Iterator[tuple[int, float, float]]:
    """Train in place: the mean embedding of a prompt must name each of its words.

    Args:
        model: A transformers `UMT5EncoderModel`.
        tokenizer: Tokenizer of the model.
        text_len: Tokens that a prompt is cut or padded to.
        class_sizes: Number of choices of each word.
        draw: Function that returns a prompt and the index of each of its words.
        config: Settings of the run.

    Yields:
        Step index, loss, and the share of words named rightly.
    """
    heads = nn.ModuleList(nn.Linear(model.config.d_model, size) for size in class_sizes)
    parameters = [*model.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=1e-2)
    for step in range(config.steps):
        prompts, labels = zip(*(draw() for _ in range(config.batch_size)), strict=True)
        ids, mask = tokenize(tokenizer, list(prompts), text_len)
        hidden = model(ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
        mean = hidden.sum(dim=1) / mask.sum(dim=1, keepdim=True)
        target = torch.tensor(labels)
        logits = [head(mean) for head in heads]
        losses = [functional.cross_entropy(x, y) for x, y in zip(logits, target.T, strict=True)]
        loss = torch.stack(losses).sum()
        rate = config.learning_rate * warmup_cosine(step, config.steps, config.warmup_steps)
        backward_and_step(optimiser, loss, learning_rate=rate, clip_norm=1.0)
        right = torch.stack([x.argmax(-1) == y for x, y in zip(logits, target.T, strict=True)])
        yield step, loss.item(), right.float().mean().item()
