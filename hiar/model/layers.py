"""The layers of the Wan transformer: norms, attention projections, one block, the output head.

Parameter names are those of the Wan release, so its checkpoints load strictly. What each line
computes follows Wan2.1 wan/modules/model.py and the HiAR release's causal variant of it.

Shapes: B videos, F latent frames, L tokens, D = dim, N heads, K head_dim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from hiar.model.activation import FeedForward
from hiar.model.rope import BASE, rotate

if TYPE_CHECKING:
    from hiar.model.attention import AttentionFn
    from hiar.model.config import WanConfig
    from hiar.model.kv_cache import KeysValues
    from hiar.model.self_attention import SelfAttention


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
        """Normalise the last axis; on a CPU the result of a bfloat16 input stays float32.

        PyTorch's own operator takes up to twice as long there, and would round once before the
        rotary turn that follows rounds again.
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
        """Normalised queries [B, L, N, K], turned by the rotary table and then rounded once."""
        return rotate(self._heads(self.norm_q.unrounded(self.q(x))), rotary).to(x.dtype)

    def keys(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised keys [B, L, N, K] of x [B, L, D]."""
        return self._heads(self.norm_k(self.k(x)))

    def rotated_keys(self, x: torch.Tensor, rotary: torch.Tensor) -> torch.Tensor:
        """Normalised keys [B, L, N, K], turned by the rotary table and then rounded once."""
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


def modulation(num_rows: int, dim: int) -> nn.Parameter:
    """Random rows [1, num_rows, dim] that the timestep's are added to.

    On the meta device, where a model is made only to be filled from a file, nothing is drawn: for
    that PyTorch would import its compiler, which takes two seconds.
    """
    rows = torch.empty(1, num_rows, dim)
    return nn.Parameter(rows if rows.is_meta else torch.randn_like(rows) / dim**0.5)


class Block(nn.Module):
    """Self-attention, cross-attention and feed-forward, modulated by the timestep per frame.

    Args:
        config: Sizes of the transformer.
        index: Position of this block among the transformer's layers.
    """

    def __init__(self, config: WanConfig, index: int) -> None:
        super().__init__()
        self.index = index
        dim, eps = config.dim, config.eps
        self.norm1 = nn.LayerNorm(dim, eps, elementwise_affine=False)
        self.self_attn = Projections(config)
        self.norm3 = nn.LayerNorm(dim, eps)
        self.cross_attn = Projections(config)
        self.norm2 = nn.LayerNorm(dim, eps, elementwise_affine=False)
        self.ffn = FeedForward(dim, config.ffn_dim)
        self.modulation = modulation(6, dim)

    def forward(
        self,
        x: torch.Tensor,
        modulation_BF6D: torch.Tensor,
        text: KeysValues,
        rotary: torch.Tensor,
        self_attention: SelfAttention,
        attend_text: AttentionFn,
    ) -> torch.Tensor:
        """Run one layer on x [B, L, D].

        Args:
            x: Tokens, frame after frame.
            modulation_BF6D: Projected timestep embedding; F is the number of frames, or 1.
            text: Cross-attention's keys and values, from `encode_text`.
            rotary: Cosines and sines for x's tokens, from `rotary_table`.
            self_attention: Attention of the tokens to one another and to cached blocks.
            attend_text: Function that computes cross-attention.

        Returns:
            [B, L, D].
        """
        parts = (self.modulation + modulation_BF6D).unsqueeze(3).unbind(2)
        shift_attn, scale_attn, gate_attn, shift_ffn, scale_ffn, gate_ffn = parts
        q, k, v = self.before_attention(x, shift_attn, scale_attn, rotary)
        attended = self_attention.attend(self.index, q, k, v)
        x, queries = self.between_attentions(x, attended, gate_attn)
        attended = attend_text(queries, *text)
        return self.after_attention(x, attended, shift_ffn, scale_ffn, gate_ffn)

    def encode_text(self, embedded: torch.Tensor) -> KeysValues:
        """Cross-attention's keys and values of a prompt, [B, text_len, N, K] each."""
        return self.cross_attn.keys(embedded), self.cross_attn.values(embedded)

    def keys_values(
        self, x: torch.Tensor, modulation_BF6D: torch.Tensor, rotary: torch.Tensor
    ) -> KeysValues:
        """The keys (rotated) and values of self-attention alone, as a cache stores them."""
        shift, scale = (self.modulation + modulation_BF6D).unsqueeze(3)[:, :, :2].unbind(2)
        h, layer = norm_modulated(x, self.norm1, shift, scale), self.self_attn
        return layer.rotated_keys(h, rotary), layer.values(h)

    def before_attention(
        self, x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor, rotary: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The queries and keys (both rotated) and the values of self-attention."""
        h, layer = norm_modulated(x, self.norm1, shift, scale), self.self_attn
        return layer.rotated_queries(h, rotary), layer.rotated_keys(h, rotary), layer.values(h)

    def between_attentions(
        self, x: torch.Tensor, attended: torch.Tensor, gate: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens after self-attention, and their queries to the text."""
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
        """The tokens after cross-attention and the feed-forward layer."""
        x = x + self.cross_attn.output(attended)
        return add_gated(x, self.ffn(norm_modulated(x, self.norm2, shift, scale)), gate)


class Head(nn.Module):
    """Final norm, modulation and projection to latent patches."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        patch = config.patch_size[1] * config.patch_size[2]
        self.norm = nn.LayerNorm(config.dim, config.eps, elementwise_affine=False)
        self.head = nn.Linear(config.dim, patch * config.out_channels)
        self.modulation = modulation(2, config.dim)

    def forward(self, x: torch.Tensor, embedding_BFD: torch.Tensor) -> torch.Tensor:
        """Project tokens [B, L, D] to patches [B, L, patch x out_channels]."""
        shift, scale = (self.modulation + embedding_BFD.unsqueeze(2)).unsqueeze(3).unbind(2)
        out: torch.Tensor = self.head(norm_modulated(x, self.norm, shift, scale))
        return out


def norm_modulated(
    x: torch.Tensor, norm: nn.LayerNorm, shift_BF1D: torch.Tensor, scale_BF1D: torch.Tensor
) -> torch.Tensor:
    """Normalise x [B, L, D], then scale and shift it per frame.

    Where all frames of a video share a timestep, the modulation is passed to the norm as its
    weight and bias, video by video: one kernel instead of two, and one rounding.
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
    """Return x + gate * update, x and update [B, L, D], with one gate a frame."""
    frames = (gate_BF1D.shape[1], -1)
    out: torch.Tensor = torch.addcmul(
        x.unflatten(1, frames), update.unflatten(1, frames), gate_BF1D
    ).flatten(1, 2)
    return out


def timestep_embedding(timesteps: torch.Tensor, dim: int) -> torch.Tensor:
    """Cosines, then sines, of t x BASE^(-i / (dim / 2)), float64 [..., dim]."""
    half = dim // 2
    exponents = torch.arange(half, dtype=torch.float64, device=timesteps.device) / half
    angle = timesteps.double().unsqueeze(-1) * BASE**-exponents
    return torch.cat((angle.cos(), angle.sin()), dim=-1)
