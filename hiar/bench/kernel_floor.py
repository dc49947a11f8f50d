"""The least a model call can take: its attention and matrix kernels, and nothing between them.

The kernels run with the sampler's modules, weights, shapes, dtype and attention backend, on random
values. What the sampler takes beyond this time is norms, modulation, rotary embedding, activations,
copies into the cache, noise and Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from hiar.model.layers import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hiar.model.transformer import CausalWan

KEY_BUFFERS = 4
"""Layers take turns on this many buffers, so that a cache never holds the keys of the last one."""


class KernelFloor:
    """Runs the bare kernels of model calls on one device.

    Args:
        model: Model whose kernels are run.
        block_tokens: Tokens of a block.
        capacity_tokens: Keys that a block may see at most, its own included.
        max_groups: Blocks that run in one call at most.
    """

    def __init__(
        self, model: CausalWan, *, block_tokens: int, capacity_tokens: int, max_groups: int = 1
    ) -> None:
        config = model.config
        self._model = model
        buffers = min(config.num_layers, KEY_BUFFERS)
        heads = (config.num_heads, config.head_dim)
        patch = config.patch_size[1] * config.patch_size[2] * config.in_channels
        rows = (max_groups, block_tokens)

        def values(*shape: int) -> torch.Tensor:
            return torch.randn(shape, device=model.device).to(model.dtype)

        def keys(num_tokens: int, batch_size: int) -> torch.Tensor:
            # As the cache lays them out: heads before tokens.
            return values(buffers, batch_size, heads[0], num_tokens, heads[1]).transpose(2, 3)

        self._patches = values(*rows, patch)
        self._tokens = values(*rows, config.dim)
        self._hidden = values(*rows, config.ffn_dim)
        self._queries = values(*rows, *heads)
        self._keys, self._values = keys(capacity_tokens, 1), keys(capacity_tokens, 1)
        text = (buffers, max_groups, config.text_len, *heads)
        self._text_keys, self._text_values = values(*text), values(*text)
        self._text = values(1, config.text_len, config.text_dim)
        self._embedded = values(1, config.text_len, config.dim)
        self._time = values(max_groups, 1, config.freq_dim)
        self._time_embedded = values(max_groups, 1, config.dim)

    @torch.no_grad()
    def run_text(self) -> None:
        """What a prompt costs once: its embedding, and keys and values for every layer."""
        run(self._model.text_embedding[0], self._text)
        run(self._model.text_embedding[2], self._embedded)
        for block in self._blocks():
            run(block.cross_attn.k, self._embedded)
            run(block.cross_attn.v, self._embedded)

    @torch.no_grad()
    def run_call(self, visible_tokens: Sequence[int], *, need_flow: bool = True) -> None:
        """One model call.

        Args:
            visible_tokens: Keys that each block of the call sees, its own included.
            need_flow: False for a context pass, which ends with the last layer's keys and values.
        """
        model, groups = self._model, len(visible_tokens)
        tokens = self._tokens[:groups]
        patch = model.patch_embedding
        functional.linear(self._patches[:groups], patch.weight.flatten(1), patch.bias)
        run(model.time_embedding[0], self._time[:groups])
        run(model.time_embedding[2], self._time_embedded[:groups])
        run(model.time_projection[1], self._time_embedded[:groups])
        blocks = self._blocks()
        for index, block in enumerate(blocks):
            run(block.self_attn.k, tokens)
            run(block.self_attn.v, tokens)
            if index + 1 < len(blocks) or need_flow:
                self._run_rest(block, index, visible_tokens)
        if need_flow:
            run(model.head.head, tokens)

    def _run_rest(self, block: Block, index: int, visible_tokens: Sequence[int]) -> None:
        """A layer without self-attention's keys and values."""
        groups, place = len(visible_tokens), index % len(self._keys)
        tokens, queries = self._tokens[:groups], self._queries[:groups]
        run(block.self_attn.q, tokens)
        for group, visible in enumerate(visible_tokens):
            self._model.attend(
                queries[group : group + 1],
                self._keys[place][:, :visible],
                self._values[place][:, :visible],
            )
        run(block.self_attn.o, tokens)
        run(block.cross_attn.q, tokens)
        text = (self._text_keys[place][:groups], self._text_values[place][:groups])
        self._model.attend(queries, *text)
        run(block.cross_attn.o, tokens)
        run(block.ffn[0], tokens)
        run(block.ffn[2], self._hidden[:groups])

    def _blocks(self) -> list[Block]:
        return [block for block in self._model.blocks if isinstance(block, Block)]


def run(layer: nn.Module, x: torch.Tensor) -> None:
    """The matrix product of a linear layer; the result is thrown away."""
    assert isinstance(layer, nn.Linear)
    functional.linear(x, layer.weight, layer.bias)
