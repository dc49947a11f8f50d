"""The tiny model's text encoder: UMT5's layers at its size, and a tokenizer that reads bytes.

It computes what transformers' `UMT5EncoderModel` does with the same weights. Importing that takes
three seconds, more than a short tiny video needs. Full-size encoders are transformers' own.

Source: transformers 5.23.0, models/umt5/modeling_umt5.py; the tests compare them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hiar.errors import UsageError
from hiar.weights.checkpoint_fit import find_faults, join_faults
from hiar.weights.tensor_files import read_tensors

PAD_ID, END_ID = 0, 1
FIRST_BYTE_ID = 3
"""As in ByT5: ids 0 to 2 are the padding, the end of a text and an unknown token."""
NUM_BUCKETS, MAX_DISTANCE = 32, 128
"""Of relative positions: UMT5's, which `TEXT_CONFIG` leaves as they are."""


@dataclass(frozen=True)
class Tokens:
    """Ids of one text as lists, or of several as tensors of equal length.

    Attributes:
        input_ids: Ids, the end of the text last.
        attention_mask: 1 for a token, 0 for padding.
    """

    input_ids: Any
    attention_mask: Any


class ByteTokenizer:
    """Bytes as tokens: no vocabulary file, any script, any emoji. Called as transformers' are."""

    def __call__(
        self,
        text: str | list[str],
        *,
        padding: str | None = None,
        max_length: int | None = None,
        truncation: bool = False,
        return_tensors: str | None = None,
    ) -> Tokens:
        """Turn a text, or several, to ids.

        Args:
            text: One text gives lists; several give int64 tensors [B, max_length].
            padding: For several texts "max_length".
            max_length: Longest text in tokens, its end included.
            truncation: Whether longer texts are cut before their end token.
            return_tensors: For several texts "pt".
        """
        limit = max_length if truncation else None
        if isinstance(text, str):
            ids = token_ids(text, limit)
            return Tokens(ids, [1] * len(ids))
        assert (padding, return_tensors) == ("max_length", "pt")
        assert max_length is not None
        rows = torch.full((len(text), max_length), PAD_ID)
        mask = torch.zeros_like(rows)
        for row, flags, one in zip(rows, mask, text, strict=True):
            ids = token_ids(one, limit)
            row[: len(ids)] = torch.tensor(ids)
            flags[: len(ids)] = 1
        return Tokens(rows, mask)


def token_ids(text: str, limit: int | None) -> list[int]:
    """Ids of a text and of its end, cut to `limit` in all."""
    ids = [FIRST_BYTE_ID + byte for byte in text.encode()]
    return [*ids[: None if limit is None else limit - 1], END_ID]


@dataclass(frozen=True)
class Encoded:
    """What the encoder returns, as transformers' do.

    Attributes:
        last_hidden_state: [B, L, d_model].
    """

    last_hidden_state: torch.Tensor


class ScaleNorm(nn.Module):
    """Root mean square norm."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the last axis."""
        mean_square = x.float().pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(mean_square + self.eps))


class SelfAttention(nn.Module):
    """Attention with a learnt bias for each bucket of relative positions, and without scaling."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, self.num_heads = config["d_model"], config["num_heads"]
        inner = self.num_heads * config["d_kv"]
        self.q = nn.Linear(dim, inner, bias=False)
        self.k = nn.Linear(dim, inner, bias=False)
        self.v = nn.Linear(dim, inner, bias=False)
        self.o = nn.Linear(inner, dim, bias=False)
        self.relative_attention_bias = nn.Embedding(NUM_BUCKETS, self.num_heads)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, buckets: torch.Tensor) -> torch.Tensor:
        """Attend.

        Args:
            x: [B, L, D].
            mask: [B, 1, 1, L], 0 for a token and -inf for padding.
            buckets: [L, L], bucket of each pair of positions.

        Returns:
            [B, L, D].
        """
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        bias = self.relative_attention_bias(buckets).permute(2, 0, 1)[None] + mask
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        found: torch.Tensor = self.o(attended.transpose(1, 2).flatten(2))
        return found


class GatedFeedForward(nn.Module):
    """The feed-forward part: two layers, one of them a gate."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.wi_0 = nn.Linear(config["d_model"], config["d_ff"], bias=False)
        self.wi_1 = nn.Linear(config["d_model"], config["d_ff"], bias=False)
        self.wo = nn.Linear(config["d_ff"], config["d_model"], bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, L, D], changed."""
        found: torch.Tensor = self.wo(gelu(self.wi_0(x)) * self.wi_1(x))
        return found


def gelu(x: torch.Tensor) -> torch.Tensor:
    """GELU by tanh, with the roundings of transformers' `gelu_new`."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))
    return 0.5 * x * (1 + torch.tanh(inner))


class AttentionLayer(nn.Module):
    """Norm and attention beside a shortcut."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.SelfAttention = SelfAttention(config)
        self.layer_norm = ScaleNorm(config["d_model"], config["layer_norm_epsilon"])

    def forward(self, x: torch.Tensor, mask: torch.Tensor, buckets: torch.Tensor) -> torch.Tensor:
        """[B, L, D], changed; the rest as of `SelfAttention`."""
        attended: torch.Tensor = self.SelfAttention(self.layer_norm(x), mask, buckets)
        return x + attended


class FeedForwardLayer(nn.Module):
    """Norm and feed-forward beside a shortcut."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.DenseReluDense = GatedFeedForward(config)
        self.layer_norm = ScaleNorm(config["d_model"], config["layer_norm_epsilon"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, L, D], changed."""
        added: torch.Tensor = self.DenseReluDense(self.layer_norm(x))
        return x + added


class EncoderBlock(nn.Module):
    """Attention, then feed-forward."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.layer = nn.ModuleList([AttentionLayer(config), FeedForwardLayer(config)])

    def forward(self, x: torch.Tensor, mask: torch.Tensor, buckets: torch.Tensor) -> torch.Tensor:
        """[B, L, D], changed; the rest as of `SelfAttention`."""
        found: torch.Tensor = self.layer[1](self.layer[0](x, mask, buckets))
        return found


class Stack(nn.Module):
    """All blocks and the last norm."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.block = nn.ModuleList(EncoderBlock(config) for _ in range(config["num_layers"]))
        self.final_layer_norm = ScaleNorm(config["d_model"], config["layer_norm_epsilon"])

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Embeddings [B, L, D] of tokens, changed; `mask` as of `SelfAttention`."""
        positions = torch.arange(x.shape[1], device=x.device)
        buckets = position_buckets(positions[None] - positions[:, None])
        for block in self.block:
            x = block(x, mask, buckets)
        found: torch.Tensor = self.final_layer_norm(x)
        return found


class TinyUMT5(nn.Module):
    """UMT5's encoder, with the names of transformers' weights.

    Args:
        config: What its config.json holds.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.shared = nn.Embedding(config["vocab_size"], config["d_model"])
        self.encoder = Stack(config)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.shared.weight.device

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Encoded:
        """Encode ids [B, L] with their mask [B, L], 1 for a token and 0 for padding."""
        is_padding = attention_mask[:, None, None] == 0
        mask = torch.zeros(is_padding.shape, device=self.device).masked_fill(is_padding, -math.inf)
        return Encoded(self.encoder(self.shared(input_ids), mask))


def position_buckets(distances: torch.Tensor) -> torch.Tensor:
    """Bucket of each relative position, key less query.

    Half of the buckets are for keys that come later. Of either half, one half is for single
    distances, the other for ranges whose bounds grow in a constant ratio up to `MAX_DISTANCE`.
    """
    half = NUM_BUCKETS // 2
    single = half // 2
    far = distances.abs()
    ratio = torch.log(far.float() / single) / math.log(MAX_DISTANCE / single)
    ranged = (single + (ratio * (half - single)).long()).clamp_(max=half - 1)
    return torch.where(far < single, far, ranged) + half * (distances > 0)


def load_tiny_umt5(folder: Path, device: torch.device | str = "cpu") -> TinyUMT5:
    """Load the encoder from a folder of config.json and model.safetensors.

    Raises:
        UsageError: For weights that are not there or do not fit the config.
    """
    with torch.device("meta"):
        model = TinyUMT5(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    path = folder / "model.safetensors"
    found = read_tensors(path)
    faults = find_faults(model.state_dict(), found)
    if faults:
        raise UsageError(f"{path} is no text encoder of its config.json: {join_faults(faults)}")
    model.load_state_dict({name: value.to(device) for name, value in found.items()}, assign=True)
    return model
