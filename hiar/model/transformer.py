"""The Wan transformer with per-frame timesteps and causal attention between blocks.

Parameter names are those of the Wan release, so its checkpoints load strictly. What each line
computes follows Wan2.1 wan/modules/model.py and the HiAR release's causal variant of it.

Shapes: B videos, F latent frames, T tokens of a frame, L = F x T, D = dim, N heads, K head_dim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from hiar.errors import UsageError
from hiar.model.activation import FeedForward
from hiar.model.attention import AttentionFn, attend, attend_block_causal, attend_teacher_forcing
from hiar.model.config import WanConfig
from hiar.model.geometry import token_grid
from hiar.model.kv_cache import BlockCache
from hiar.model.rope import BASE, rotary_table, rotate

Attention = Literal["bidirectional", "block_causal", "teacher_forcing"]
KeysValues = tuple[torch.Tensor, torch.Tensor]
AttendFn = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(layer, q, k, v) -> attended, all [B, L, N, K], q and k already rotated."""


class TextContext(NamedTuple):
    """A prompt's keys and values for every cross-attention layer, each [B, text_len, N, K].

    They depend on the prompt alone, so they are computed once a video. A tuple, so that FSDP2
    finds the tensors in it and gathers the weights when their gradient comes back.
    """

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]

    def repeat(self, times: int) -> TextContext:
        """The same prompts `times` over along the batch."""
        sizes = (times, 1, 1, 1)
        return TextContext(
            keys=tuple(keys.repeat(sizes) for keys in self.keys),
            values=tuple(values.repeat(sizes) for values in self.values),
        )


class RMSNorm(nn.Module):
    """Root-mean-square norm over the whole width (all heads together), computed in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the last axis."""
        return self.unrounded(x).to(x.dtype)

    def unrounded(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the last axis; on a CPU the result of a bfloat16 input is still float32.

        PyTorch's own operator takes up to twice as long there, and a rotary turn that follows would
        round a second time.
        """
        if x.device.type != "cpu" or x.dtype != torch.bfloat16:
            return functional.rms_norm(x, self.weight.shape, self.weight, self.eps)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(length.square() / x.shape[-1] + self.eps)
        return x.float().mul_(scale).mul_(self.weight.float())


class Projections(nn.Module):
    """Query, key, value and output projections of one attention layer, with q and k norms."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q = nn.Linear(config.dim, config.dim)
        self.k = nn.Linear(config.dim, config.dim)
        self.v = nn.Linear(config.dim, config.dim)
        self.o = nn.Linear(config.dim, config.dim)
        self.norm_q = RMSNorm(config.dim, config.eps)
        self.norm_k = RMSNorm(config.dim, config.eps)

    def queries(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised queries [B, L, N, K] of x [B, L, D]."""
        return self._heads(self.norm_q(self.q(x)))

    def rotated_queries(self, x: torch.Tensor, rotary: torch.Tensor) -> torch.Tensor:
        """Normalised queries, turned by the table and then rounded."""
        return rotate(self._heads(self.norm_q.unrounded(self.q(x))), rotary).to(x.dtype)

    def keys(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised keys [B, L, N, K] of x [B, L, D]."""
        return self._heads(self.norm_k(self.k(x)))

    def rotated_keys(self, x: torch.Tensor, rotary: torch.Tensor) -> torch.Tensor:
        """Normalised keys, turned by the table and then rounded."""
        return rotate(self._heads(self.norm_k.unrounded(self.k(x))), rotary).to(x.dtype)

    def values(self, x: torch.Tensor) -> torch.Tensor:
        """Values [B, L, N, K] of x [B, L, D]."""
        return self._heads(self.v(x))

    def output(self, x_BLNK: torch.Tensor) -> torch.Tensor:
        """Join the heads and project: [B, L, D]."""
        out: torch.Tensor = self.o(x_BLNK.flatten(-2))
        return out

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        heads: torch.Tensor = x.unflatten(-1, (self.num_heads, -1))
        return heads


class Block(nn.Module):
    """Self-attention, cross-attention and feed-forward, modulated by the timestep per frame."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        dim, eps = config.dim, config.eps
        self.norm1 = nn.LayerNorm(dim, eps, elementwise_affine=False)
        self.self_attn = Projections(config)
        self.norm3 = nn.LayerNorm(dim, eps)
        self.cross_attn = Projections(config)
        self.norm2 = nn.LayerNorm(dim, eps, elementwise_affine=False)
        self.ffn = FeedForward(dim, config.ffn_dim)
        self.modulation = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)

    def forward(
        self,
        x: torch.Tensor,
        modulation_BF6D: torch.Tensor,
        text: tuple[torch.Tensor, torch.Tensor],
        rotary: torch.Tensor,
        attend_self: AttentionFn,
        attend_text: AttentionFn,
    ) -> torch.Tensor:
        """Run one layer on x [B, L, D].

        Args:
            x: Tokens, frame after frame.
            modulation_BF6D: Projected timestep embedding; F is the number of frames, or 1.
            text: Cross-attention keys and values.
            rotary: Cosines and sines for x's tokens, from `rotary_table`.
            attend_self, attend_text: Attention of (q, k, v) to tokens and to text.

        Returns:
            [B, L, D].
        """
        parts = (self.modulation + modulation_BF6D).unsqueeze(3).unbind(2)
        shift_attn, scale_attn, gate_attn, shift_ffn, scale_ffn, gate_ffn = parts
        attended = attend_self(*self.before_attention(x, shift_attn, scale_attn, rotary))
        x, queries = self.between_attentions(x, attended, gate_attn)
        attended = attend_text(queries, *text)
        return self.after_attention(x, attended, shift_ffn, scale_ffn, gate_ffn)

    def encode_text(self, embedded: torch.Tensor) -> KeysValues:
        """Cross-attention's keys and values of a prompt, [B, text_len, N, K] each."""
        return self.cross_attn.keys(embedded), self.cross_attn.values(embedded)

    def keys_values(
        self, x: torch.Tensor, modulation_BF6D: torch.Tensor, rotary: torch.Tensor
    ) -> KeysValues:
        """Self-attention's keys, rotated, and values: what the layer leaves in a cache."""
        shift, scale = (self.modulation + modulation_BF6D).unsqueeze(3)[:, :, :2].unbind(2)
        h, layer = norm_modulated(x, self.norm1, shift, scale), self.self_attn
        return layer.rotated_keys(h, rotary), layer.values(h)

    def before_attention(
        self, x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor, rotary: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Self-attention's queries and keys, rotated, and values."""
        h, layer = norm_modulated(x, self.norm1, shift, scale), self.self_attn
        return layer.rotated_queries(h, rotary), layer.rotated_keys(h, rotary), layer.values(h)

    def between_attentions(
        self, x: torch.Tensor, attended: torch.Tensor, gate: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens after self-attention, and their queries to the text."""
        x = add_gated(x, self.self_attn.output(attended), gate)
        return x, self.cross_attn.queries(self.norm3(x))

    def after_attention(
        self,
        x: torch.Tensor,
        attended: torch.Tensor,
        shift: torch.Tensor,
        scale: torch.Tensor,
        gate: torch.Tensor,
    ) -> torch.Tensor:
        """Tokens after cross-attention and the feed-forward layer."""
        x = x + self.cross_attn.output(attended)
        return add_gated(x, self.ffn(norm_modulated(x, self.norm2, shift, scale)), gate)


class Head(nn.Module):
    """Final norm, modulation and projection to latent patches."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        patch = config.patch_size[1] * config.patch_size[2]
        self.norm = nn.LayerNorm(config.dim, config.eps, elementwise_affine=False)
        self.head = nn.Linear(config.dim, patch * config.out_channels)
        self.modulation = nn.Parameter(torch.randn(1, 2, config.dim) / config.dim**0.5)

    def forward(self, x: torch.Tensor, embedding_BFD: torch.Tensor) -> torch.Tensor:
        """Project tokens [B, L, D] to patches [B, L, patch x out_channels]."""
        shift, scale = (self.modulation + embedding_BFD.unsqueeze(2)).unsqueeze(3).unbind(2)
        out: torch.Tensor = self.head(norm_modulated(x, self.norm, shift, scale))
        return out


def norm_modulated(
    x: torch.Tensor, norm: nn.LayerNorm, shift_BF1D: torch.Tensor, scale_BF1D: torch.Tensor
) -> torch.Tensor:
    """Normalise x [B, L, D], then scale and shift it per frame.

    Where all frames of a video share a timestep the modulation is the norm's own weight and bias,
    video by video: one kernel, and one rounding.
    """
    if shift_BF1D.shape[1] > 1:
        return modulate(norm(x), shift_BF1D, scale_BF1D)
    videos = [
        functional.layer_norm(x_LD, norm.normalized_shape, 1 + scale[0, 0], shift[0, 0], norm.eps)
        for x_LD, shift, scale in zip(x, shift_BF1D, scale_BF1D, strict=True)
    ]
    return videos[0].unsqueeze(0) if len(videos) == 1 else torch.stack(videos)


def modulate(x: torch.Tensor, shift_BF1D: torch.Tensor, scale_BF1D: torch.Tensor) -> torch.Tensor:
    """Scale and shift x [B, L, D] per frame: x (1 + scale) + shift."""
    per_frame = x.unflatten(1, (shift_BF1D.shape[1], -1))
    out: torch.Tensor = torch.addcmul(shift_BF1D, per_frame, 1 + scale_BF1D).flatten(1, 2)
    return out


def add_gated(x: torch.Tensor, update: torch.Tensor, gate_BF1D: torch.Tensor) -> torch.Tensor:
    """Add to x its update times the gate, both [B, L, D], with one gate a frame."""
    frames = (gate_BF1D.shape[1], -1)
    out: torch.Tensor = torch.addcmul(
        x.unflatten(1, frames), update.unflatten(1, frames), gate_BF1D
    ).flatten(1, 2)
    return out


def timestep_embedding(timesteps: torch.Tensor, dim: int) -> torch.Tensor:
    """Cosines then sines of t x BASE^(-i / (dim / 2)), float64 [..., dim]."""
    half = dim // 2
    exponents = torch.arange(half, dtype=torch.float64, device=timesteps.device) / half
    angle = timesteps.double().unsqueeze(-1) * BASE**-exponents
    return torch.cat((angle.cos(), angle.sin()), dim=-1)


def whole_video_attention(
    attention: Attention, frames_per_block: int, window: int | None, *, frame_tokens: int
) -> AttendFn:
    """The self-attention of every layer when a whole video runs at once.

    Args:
        attention: Who sees whom.
        frames_per_block: Latent frames of a block.
        window: Latent frames visible back from the end of a block; block_causal only.
        frame_tokens: Tokens of a latent frame.

    Raises:
        UsageError: For an unknown attention or a window that does not fit it.
    """
    if frames_per_block < 1:
        raise UsageError(f"frames_per_block {frames_per_block} must be at least 1")
    if window is not None and attention != "block_causal":
        raise UsageError(f"window {window} needs attention='block_causal'")
    if window is not None and window < frames_per_block:
        raise UsageError(f"window {window} must hold a block of {frames_per_block}")
    block_tokens = frames_per_block * frame_tokens
    window_tokens = None if window is None else window * frame_tokens
    functions: dict[str, AttendFn] = {
        "bidirectional": lambda _, q, k, v: attend(q, k, v),
        "block_causal": lambda _, q, k, v: attend_block_causal(
            q, k, v, block_tokens=block_tokens, window_tokens=window_tokens
        ),
        "teacher_forcing": lambda _, q, k, v: attend_teacher_forcing(
            q, k, v, block_tokens=block_tokens
        ),
    }
    if attention not in functions:
        raise UsageError(f"attention {attention!r} is unknown: use one of {', '.join(functions)}")
    return functions[attention]


def prepend_clean(
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    clean_latents: torch.Tensor,
    clean_timesteps: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clean half before the noisy half: latents [B, 2 F, C, H, W], timesteps [B, 2 F]."""
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


class CausalWan(nn.Module):
    """Predicts the flow of noisy latents, in one pass over a video or block by block.

    Args:
        config: Sizes.
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
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.head = Head(config)
        self.attend: AttentionFn = attend
        """Attention to cached blocks and to text; others: `hiar.model.attention_backends`."""
        self.checkpoint_activations = False
        """Under gradients keep only each layer's input and compute the rest again: less memory."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Of the weights."""
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
            text: Text embeddings [B, text, text_dim], text <= text_len; padded with zero rows,
                which are attended.
            attention: Who sees whom.
            frames_per_block: Latent frames of a block (not for bidirectional).
            window: Latent frames visible back from the end of a block (block_causal only).
            clean_latents: The clean video, for teacher_forcing.
            clean_timesteps: Its timesteps [B, F] or [B]; None means 0.

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
        rotary = rotary_table(0, num_frames, rows, columns, self.config.head_dim, latents.device)
        attend_layer = whole_video_attention(
            attention, frames_per_block, window, frame_tokens=rows * columns
        )
        if clean_latents is not None:
            latents, timesteps = prepend_clean(latents, timesteps, clean_latents, clean_timesteps)
            rotary = torch.cat((rotary, rotary))
        text_context = self.encode_text(text)
        if text.shape[0] != latents.shape[0]:
            raise UsageError(
                f"text is of {text.shape[0]} videos, latents are of {latents.shape[0]}"
            )
        flow = self._run(latents, timesteps, text_context, rotary, attend_layer)
        return flow[:, -num_frames:]

    def forward_block(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: TextContext,
        cache: BlockCache,
        first_frame: int,
        *,
        need_flow: bool = True,
    ) -> torch.Tensor | None:
        """Run one block against the cache; its keys and values are left in the cache.

        Args:
            latents: The block [B, F, C, H, W].
            timesteps: [B, F] or [B], in [0, 1000].
            text: From `encode_text`.
            cache: Earlier blocks; holds this block too afterwards.
            first_frame: Index of the block's first latent frame in the video.
            need_flow: False for a context pass, which wants only the keys and values: what
                follows the last layer's is left out.

        Returns:
            Flow [B, F, C, H, W], or None without `need_flow`.
        """
        return self.forward_blocks(
            latents, timesteps, text, (cache,), (first_frame,), need_flow=need_flow
        )

    def forward_blocks(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: TextContext,
        caches: Sequence[BlockCache],
        first_frames: Sequence[int],
        *,
        need_flow: bool = True,
    ) -> torch.Tensor | None:
        """Run G blocks of the same videos at once, each against a cache of its own.

        Args:
            latents: The blocks [G x B, F, C, H, W], group after group.
            timesteps: [G x B, F] or [G x B], in [0, 1000].
            text: From `encode_text`, of G x B rows.
            caches: One a group; each holds its block too afterwards.
            first_frames: Index of each group's first latent frame in the video.
            need_flow: As in `forward_block`.

        Returns:
            Flow [G x B, F, C, H, W], or None without `need_flow`.
        """
        self._check(latents, timesteps)
        rows, columns = self._grid(latents)
        num_frames, num_groups = latents.shape[1], len(caches)
        rotary = self._rotary_of_groups(
            first_frames, num_frames, (rows, columns), latents.shape[0] // num_groups
        )

        def write(layer: int, k: torch.Tensor, v: torch.Tensor) -> list[KeysValues]:
            groups = zip(
                caches, first_frames, k.chunk(num_groups), v.chunk(num_groups), strict=True
            )
            return [cache.write(layer, first, k, v) for cache, first, k, v in groups]

        def attend_cached(
            layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
        ) -> torch.Tensor:
            seen = zip(q.chunk(num_groups), write(layer, k, v), strict=True)
            outputs = [self.attend(q, keys, values) for q, (keys, values) in seen]
            return outputs[0] if num_groups == 1 else torch.cat(outputs)

        x, embedding, modulation = self._embed(latents, timesteps)
        if need_flow:
            x = self._layers(x, modulation, text, rotary, attend_cached, self.config.num_layers)
            flow = self._unpatchify(self.head(x, embedding), rows, columns)
        else:
            x = self._layers(x, modulation, text, rotary, attend_cached, self.config.num_layers - 1)
            write(self.config.num_layers - 1, *self._last_keys_values(x, modulation, rotary))
            flow = None
        for cache, first_frame in zip(caches, first_frames, strict=True):
            cache.advance(first_frame + num_frames)
        return flow

    def forward_after(
        self,
        context: torch.Tensor,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: TextContext,
        cache: BlockCache,
        first_frame: int,
    ) -> torch.Tensor:
        """Leave one block in the cache as context and run the next against it, in one pass.

        What the two passes of `forward_blocks` compute, up to rounding: in each layer the context
        is written and attends before the next block is written, and of the last layer the context
        needs keys and values alone (the paper, Sec. 3.2).

        Args:
            context: The earlier block [B, F, C, H, W], at the level it is shown at.
            latents: The block after it, of the same shape.
            timesteps: Those of the two [B, 2], in [0, 1000].
            text: From `encode_text`.
            cache: Holds the earlier block from its denoising pass; both blocks afterwards.
            first_frame: Index of the context's first latent frame.

        Returns:
            Flow of the second block [B, F, C, H, W].
        """
        rows, columns = self._grid(latents)
        size, last = latents.shape[1], self.config.num_layers - 1
        both = torch.cat((context, latents), dim=1)
        tokens = size * rows * columns
        second_frame = first_frame + size
        rotary = rotary_table(
            first_frame, 2 * size, rows, columns, self.config.head_dim, self.device
        )

        def attend_next(
            layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
        ) -> torch.Tensor:
            return self.attend(q, *cache.write(layer, second_frame, k, v))

        def attend_both(
            layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
        ) -> torch.Tensor:
            seen = cache.write(layer, first_frame, k[:, :tokens], v[:, :tokens])
            shown = self.attend(q[:, :tokens], *seen)
            following = attend_next(layer, q[:, tokens:], k[:, tokens:], v[:, tokens:])
            return torch.cat((shown, following), dim=1)

        x, embedding, modulation = self._embed(both, timesteps)
        x = self._layers(x, modulation, text, rotary, attend_both, last)
        shown = self._last_keys_values(x[:, :tokens], modulation[:, :1], rotary[:tokens])
        cache.write(last, first_frame, *shown)
        x = self.blocks[last](
            x[:, tokens:], modulation[:, 1:], (text.keys[last], text.values[last]),
            rotary[tokens:], partial(attend_next, last), self.attend,
        )  # fmt: skip
        cache.advance(second_frame + size)
        return self._unpatchify(self.head(x, embedding[:, 1:]), rows, columns)

    def _rotary_of_groups(
        self, first_frames: Sequence[int], num_frames: int, grid: tuple[int, int], group_size: int
    ) -> torch.Tensor:
        """Rotary table: one for all if there is one group, else [G x B, L, 1, K / 2, 2]."""
        tables = [
            rotary_table(first, num_frames, *grid, self.config.head_dim, self.device)
            for first in first_frames
        ]
        if len(tables) == 1:
            return tables[0]
        return torch.stack(tables).repeat_interleave(group_size, 0)

    def encode_text(self, text: torch.Tensor) -> TextContext:
        """Keys and values of the prompt for every layer.

        Args:
            text: Text embeddings [B, text, text_dim].

        Returns:
            One pair of [B, text_len, N, K] a layer.
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

    def _run(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: TextContext,
        rotary: torch.Tensor,
        attend_layer: AttendFn,
    ) -> torch.Tensor:
        x, embedding, modulation = self._embed(latents, timesteps)
        x = self._layers(x, modulation, text, rotary, attend_layer, self.config.num_layers)
        return self._unpatchify(self.head(x, embedding), *self._grid(latents))

    def _layers(
        self,
        x: torch.Tensor,
        modulation: torch.Tensor,
        text: TextContext,
        rotary: torch.Tensor,
        attend_layer: AttendFn,
        num_layers: int,
    ) -> torch.Tensor:
        """The first `num_layers` layers on tokens [B, L, D]."""
        is_kept_small = self.checkpoint_activations and torch.is_grad_enabled()
        for index in range(num_layers):
            block = self.blocks[index]
            run = partial(checkpoint, block, use_reentrant=False) if is_kept_small else block
            x = run(
                x, modulation, (text.keys[index], text.values[index]), rotary,
                partial(attend_layer, index), self.attend,
            )  # fmt: skip
        return x

    def _last_keys_values(
        self, x: torch.Tensor, modulation: torch.Tensor, rotary: torch.Tensor
    ) -> KeysValues:
        """Only the keys and values of the last layer: all that a context pass leaves behind."""
        block = self.blocks[-1]
        assert isinstance(block, Block)
        return block.keys_values(x, modulation, rotary)

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
