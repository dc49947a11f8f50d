"""Sizes of a Wan transformer."""

from __future__ import annotations

from dataclasses import dataclass

from hiar.errors import UsageError

ATTENTION_BACKENDS = ("sdpa", "cudnn", "flash_attn_4", "flash_attn", "flex", "sage", "auto")
"""Names of the ways to compute attention at inference, see `hiar.model.attention_backends`."""

FP8_CHOICES = ("off", "ffn")
"""Products that run in 8 bits, see `hiar.model.fp8`."""


@dataclass(frozen=True, kw_only=True)
class WanConfig:
    """Sizes of a Wan transformer.

    Attributes:
        dim: Model width; a multiple of `num_heads`, and each head has an even width.
        ffn_dim: Width of the feed-forward layer.
        num_heads: Attention heads.
        num_layers: Transformer blocks.
        freq_dim: Width of the sinusoidal timestep embedding, even.
        text_dim: Width of one text embedding.
        text_len: Text embeddings attended per prompt; shorter prompts are padded with zero rows.
        in_channels, out_channels: Latent channels.
        patch_size: Latent frames, rows and columns in one token; one latent frame a token.
        eps: Constant added to the variance in every normalisation.
    """

    dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    in_channels: int = 16
    out_channels: int = 16
    patch_size: tuple[int, int, int] = (1, 2, 2)
    eps: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("dim", "ffn_dim", "num_heads", "num_layers", "text_dim", "text_len"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} must be at least 1")
        if self.dim % self.num_heads or (self.dim // self.num_heads) % 2:
            raise UsageError(
                f"dim {self.dim} over {self.num_heads} heads: each head needs a whole, even width"
            )
        if self.freq_dim % 2:
            raise UsageError(f"freq_dim {self.freq_dim} must be even: half cosines, half sines")
        if self.patch_size[0] != 1:
            raise UsageError(f"patch_size {self.patch_size}: a token covers one latent frame")

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.num_heads

    @classmethod
    def wan_1_3b(cls) -> WanConfig:
        """Wan2.1-T2V-1.3B (Wan2.1, wan/configs/wan_t2v_1_3B.py)."""
        return cls(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30)

    @classmethod
    def wan_14b(cls) -> WanConfig:
        """Wan2.1-T2V-14B (Wan2.1, wan/configs/wan_t2v_14B.py)."""
        return cls(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40)

    @classmethod
    def tiny(cls) -> WanConfig:
        """The embedded default, trained on the tiny world (a CPU samples it in seconds)."""
        return cls(
            dim=112, ffn_dim=336, num_heads=4, num_layers=6, freq_dim=128, text_dim=64, text_len=96
        )

    @classmethod
    def bench_cpu(cls) -> WanConfig:
        """A size at which a CPU's time goes where a GPU's does: for latency benchmarks."""
        return cls(dim=384, ffn_dim=1536, num_heads=6, num_layers=8)
