"""CausalWan: the Wan transformer with per-frame timesteps and causal attention between blocks.

It has two entries: `forward` runs a whole video at once, `forward_cached` runs blocks against
caches of the blocks before them. The layers are in `hiar.model.layers`.

Shapes: B videos, F latent frames, L tokens, D = dim, N heads, K head_dim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from hiar.errors import UsageError
from hiar.model.attention import AttentionFn, attend
from hiar.model.config import WanConfig
from hiar.model.geometry import token_grid
from hiar.model.kv_cache import CacheSlot, KeysValues, KVCache
from hiar.model.layers import Block, Head, timestep_embedding
from hiar.model.rope import rotary_table
from hiar.model.self_attention import (
    Attention,
    CachedBlocks,
    SelfAttention,
    WholeVideo,
    write_blocks,
)


class TextContext(NamedTuple):
    """A prompt's keys and values for every cross-attention layer, each [B, text_len, N, K].

    They depend on the prompt alone, so they are computed once a video. The class is a tuple so
    that FSDP2 finds the tensors in it and gathers the weights when their gradient comes back.
    """

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]

    def repeat(self, times: int) -> TextContext:
        """The same prompts, repeated along the batch."""
        sizes = (times, 1, 1, 1)
        return TextContext(
            keys=tuple(keys.repeat(sizes) for keys in self.keys),
            values=tuple(values.repeat(sizes) for values in self.values),
        )

    def layer(self, index: int, first_row: int = 0) -> KeysValues:
        """Keys and values of one layer, from a row of the batch on."""
        if first_row == 0:
            return self.keys[index], self.values[index]
        return self.keys[index][first_row:], self.values[index][first_row:]


class PassReplayer(Protocol):
    """Runs passes that were recorded earlier; see `hiar.sampling.graphs`."""

    def begin_video(self, text: TextContext, layout: tuple[object, ...]) -> TextContext:
        """The text of a new video, in buffers that recorded passes read."""
        ...

    def borrow_cache(self, new_cache: Callable[[], KVCache]) -> KVCache:
        """An empty cache that recorded passes write to."""
        ...

    def run(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: TextContext,
        slots: Sequence[CacheSlot],
        num_context: int,
    ) -> torch.Tensor | None:
        """What `CausalWan.forward_cached` gives; None for a pass that cannot be recorded."""
        ...


class CausalWan(nn.Module):
    """Predicts the flow of noisy latents, in one pass over a video or block by block.

    Args:
        config: Sizes of the transformer.
    """

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.patch_embedding = nn.Conv3d(
            config.in_channels, dim, kernel_size=config.patch_size, stride=config.patch_size
        )
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(
            nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.num_layers))
        self.head = Head(config)
        self.attend: AttentionFn = attend
        """Computes attention to cached blocks and to text; see `hiar.model.attention_backends`."""
        self.replayer: PassReplayer | None = None
        """Replays passes over blocks that see a full window, if set (`--cuda-graphs`)."""
        self.checkpoint_activations = False
        """Saves memory in training: only each layer's input is kept, the rest computed again."""

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights."""
        return self.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.patch_embedding.weight.device

    def forward(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: torch.Tensor,
        attention: Attention = "bidirectional",
        *,
        frames_per_block: int = 3,
        window: int | None = None,
        clean_latents: torch.Tensor | None = None,
        clean_timesteps: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict the flow of a whole video at once (training, and the bidirectional teacher).

        Args:
            latents: Noisy latents [B, F, C, H, W].
            timesteps: [B, F] or [B], in [0, 1000].
            text: Text embeddings [B, text, text_dim], text <= text_len; they are padded with zero
                rows, which are attended.
            attention: Frames that each frame sees, see `WholeVideo`.
            frames_per_block: Latent frames of a block; `bidirectional` has no blocks.
            window: Latent frames visible, counted back from the end of a block; `block_causal`
                only.
            clean_latents: The clean video, for `teacher_forcing`.
            clean_timesteps: Timesteps of the clean video, [B, F] or [B]; None means 0.

        Returns:
            Flow [B, F, C, H, W].

        Raises:
            UsageError: For shapes that do not fit the configuration.
        """
        self._check(latents, timesteps)
        if (clean_latents is not None) != (attention == "teacher_forcing"):
            raise UsageError("clean_latents and attention='teacher_forcing' belong together")
        num_frames = latents.shape[1]
        rows, columns = self._grid(latents)
        self_attention = WholeVideo(
            attention=attention, frames_per_block=frames_per_block, window=window,
            frame_tokens=rows * columns,
        )  # fmt: skip
        rotary = rotary_table(0, num_frames, rows, columns, self.config.head_dim, latents.device)
        if clean_latents is not None:
            latents, timesteps = prepend_clean(latents, timesteps, clean_latents, clean_timesteps)
            rotary = torch.cat((rotary, rotary))
        text_context = self.encode_text(text)
        if text.shape[0] != latents.shape[0]:
            raise UsageError(
                f"text is of {text.shape[0]} videos, latents are of {latents.shape[0]}"
            )
        x, embedding, modulation = self._embed(latents, timesteps)
        for index in range(self.config.num_layers):
            x = self._layer(index, x, modulation, text_context.layer(index), rotary, self_attention)
        return self._unpatchify(self.head(x, embedding), rows, columns)[:, -num_frames:]

    def forward_cached(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: TextContext,
        slots: Sequence[CacheSlot],
        *,
        num_context: int = 0,
        rotary: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run G blocks of the same videos in one pass, each against the cache of its slot.

        Every block's keys and values are written to its cache. Two blocks may share a cache if the
        later one comes second: it then sees the earlier one, as if two passes had run (the paper,
        Sec. 3.2). Context blocks run only to be written, so of the last layer they need nothing
        but keys and values.

        Args:
            latents: The blocks [G x B, F, C, H, W], block after block.
            timesteps: [G x B, F] or [G x B], in [0, 1000].
            text: Result of `encode_text`, repeated to G x B rows.
            slots: Cache and first latent frame of each of the G blocks.
            num_context: How many of the blocks, from the first on, are context blocks.
            rotary: Result of `rotary_of_slots`; None computes it.

        Returns:
            Flow [(G - num_context) x B, F, C, H, W] of the blocks that are no context.
        """
        self._check(latents, timesteps)
        num_frames, last = latents.shape[1], self.config.num_layers - 1
        if rotary is None:
            rotary = self.rotary_of_slots(slots, latents)
        blocks = CachedBlocks(slots=slots, attend_cached=self.attend)
        x, embedding, modulation = self._embed(latents, timesteps)
        for index in range(last):
            x = self._layer(index, x, modulation, text.layer(index), rotary, blocks)
        start = latents.shape[0] // len(slots) * num_context
        context, others = slots[:num_context], slots[num_context:]
        flow = latents[:0]
        if context:
            layer = self.blocks[last]
            assert isinstance(layer, Block)
            keys, values = layer.keys_values(x[:start], modulation[:start], rotary[:start])
            write_blocks(context, last, keys, values)
        if others:
            blocks = CachedBlocks(slots=others, attend_cached=self.attend)
            x, modulation, rotary = x[start:], modulation[start:], rotary[start:]
            x = self._layer(last, x, modulation, text.layer(last, start), rotary, blocks)
            flow = self._unpatchify(self.head(x, embedding[start:]), *self._grid(latents))
        for slot in slots:
            slot.cache.advance(slot.first_frame + num_frames)
        return flow

    def rotary_of_slots(self, slots: Sequence[CacheSlot], latents: torch.Tensor) -> torch.Tensor:
        """Rotary tables: [1, L, 1, K / 2, 2] for a single block, else one a row of the batch."""
        tables = [
            rotary_table(
                slot.first_frame, latents.shape[1], *self._grid(latents), self.config.head_dim,
                self.device,
            )
            for slot in slots
        ]  # fmt: skip
        if len(tables) == 1:
            return tables[0].unsqueeze(0)
        return torch.stack(tables).repeat_interleave(latents.shape[0] // len(slots), 0)

    def encode_text(self, text: torch.Tensor) -> TextContext:
        """Compute the prompt's keys and values for every layer.

        Args:
            text: Text embeddings [B, text, text_dim].

        Returns:
            Keys and values [B, text_len, N, K] of every layer.
        """
        config = self.config
        if text.ndim != 3 or text.shape[2] != config.text_dim or text.shape[1] > config.text_len:
            raise UsageError(
                f"text has shape {tuple(text.shape)}: it must be "
                f"[B, at most {config.text_len}, {config.text_dim}]"
            )
        padded = functional.pad(text, (0, 0, 0, config.text_len - text.shape[1]))
        embedded = self.text_embedding(padded.to(self.dtype))
        layers = [block.encode_text(embedded) for block in self.blocks if isinstance(block, Block)]
        keys, values = zip(*layers, strict=True)
        return TextContext(keys=keys, values=values)

    def _layer(
        self,
        index: int,
        x: torch.Tensor,
        modulation: torch.Tensor,
        text: KeysValues,
        rotary: torch.Tensor,
        self_attention: SelfAttention,
    ) -> torch.Tensor:
        """One layer on tokens [B, L, D]."""
        run: Callable[..., torch.Tensor] = self.blocks[index]
        if self.checkpoint_activations and torch.is_grad_enabled():
            run = partial(checkpoint, run, use_reentrant=False)
        return run(x, modulation, text, rotary, self_attention, self.attend)

    def _embed(
        self, latents: torch.Tensor, timesteps: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens [B, L, D], timestep embedding [B, F, D] and its projection [B, F, 6, D]."""
        if timesteps.ndim == 1:
            timesteps = timesteps[:, None]
        _, p, q = self.config.patch_size
        patches = rearrange(
            latents.to(self.dtype), "b f c (h p) (w q) -> b (f h w) (c p q)", p=p, q=q
        )
        tokens = functional.linear(
            patches, self.patch_embedding.weight.flatten(1), self.patch_embedding.bias
        )
        sinusoid = timestep_embedding(timesteps, self.config.freq_dim).to(self.dtype)
        embedding = self.time_embedding(sinusoid)
        modulation = self.time_projection(embedding).unflatten(-1, (6, -1))
        return tokens, embedding, modulation

    def _unpatchify(self, patches: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        _, p, q = self.config.patch_size
        latents: torch.Tensor = rearrange(
            patches, "b (f h w) (p q c) -> b f c (h p) (w q)", h=rows, w=columns, p=p, q=q
        )
        return latents

    def _grid(self, latents: torch.Tensor) -> tuple[int, int]:
        return token_grid(latents.shape[3], latents.shape[4], self.config.patch_size)

    def _check(self, latents: torch.Tensor, timesteps: torch.Tensor) -> None:
        if latents.ndim != 5 or latents.shape[2] != self.config.in_channels:
            raise UsageError(
                f"latents have shape {tuple(latents.shape)}: they must be "
                f"[B, F, {self.config.in_channels}, H, W]"
            )
        batch, frames = latents.shape[:2]
        if timesteps.shape not in ((batch,), (batch, frames)):
            raise UsageError(
                f"timesteps have shape {tuple(timesteps.shape)}: they must be "
                f"[{batch}] or [{batch}, {frames}]"
            )


def prepend_clean(
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    clean_latents: torch.Tensor,
    clean_timesteps: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put the clean video before the noisy one: latents [B, 2 F, C, H, W], timesteps [B, 2 F]."""
    if clean_latents.shape != latents.shape:
        raise UsageError(
            f"clean_latents have shape {tuple(clean_latents.shape)}: "
            f"they must match the latents, {tuple(latents.shape)}"
        )
    per_frame = (-1, latents.shape[1])
    noisy = timesteps[:, None].expand(per_frame) if timesteps.ndim == 1 else timesteps
    clean = torch.zeros_like(noisy) if clean_timesteps is None else clean_timesteps
    clean = clean[:, None].expand(per_frame) if clean.ndim == 1 else clean
    return torch.cat((clean_latents, latents), dim=1), torch.cat((clean, noisy), dim=1)
