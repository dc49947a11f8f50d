"""DINOv2's vision transformer, up to the class token of the last layer.

Source: Oquab et al. 2023 (arXiv 2304.07193); parameter names and sizes of the checkpoints
facebook/dinov2-base and -small; positions are resized as transformers 5.23 does.

Shapes: B pictures, N tokens with the class token first, D width.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

PATCH, GRID = 14, 37  # the published positions are for 518 x 518 pixels, 37 x 37 patches
EPSILON = 1e-6


class Embeddings(nn.Module):
    """Patches, class token and positions; the mask token of the file is used in training only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.grid = (GRID, GRID)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.position_embeddings = nn.Parameter(0.02 * torch.randn(1, 1 + GRID**2, width))
        self.patch_embeddings = nn.ModuleDict(
            {"projection": nn.Conv2d(3, width, PATCH, stride=PATCH)}
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) to tokens (B, 1 + H W / PATCH^2, D)."""
        patches = self.patch_embeddings["projection"](pictures)
        positions = self.positions(patches.shape[-2], patches.shape[-1])
        tokens = patches.flatten(2).transpose(1, 2)
        return torch.cat((self.cls_token.expand(len(tokens), -1, -1), tokens), dim=1) + positions

    def positions(self, rows: int, columns: int) -> Tensor:
        """Positions (1, N, D) of so many patches, resized (bicubic, no antialiasing) if need be."""
        if (rows, columns) == self.grid:
            return self.position_embeddings
        first, rest = self.position_embeddings[:, :1], self.position_embeddings[:, 1:]
        grid = rearrange(rest, "1 (r c) d -> 1 d r c", r=self.grid[0])
        grid = functional.interpolate(grid, (rows, columns), mode="bicubic")
        return torch.cat((first, rearrange(grid, "1 d r c -> 1 (r c) d")), dim=1)

    def resize(self, rows: int, columns: int) -> None:
        """Resizes the table once, so that it is not resized for every picture."""
        table = self.positions(rows, columns)
        self.position_embeddings = nn.Parameter(table, requires_grad=False)
        self.grid = (rows, columns)


class Layer(nn.Module):
    """Attention and feed-forward parts: input normalised, output scaled by channel and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        parts = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        output = nn.ModuleDict({"dense": nn.Linear(width, width)})
        self.attention = nn.ModuleDict({"attention": nn.ModuleDict(parts), "output": output})
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )
        self.layer_scale1, self.layer_scale2 = (
            nn.ParameterDict({"lambda1": nn.Parameter(torch.ones(width))}) for _ in range(2)
        )

    def forward(self, x: Tensor, *, first_only: bool = False) -> Tensor:
        """(B, N, D) to (B, N, D), or to (B, 1, D) for the class token alone."""
        tokens = self.norm1(x)
        kept = slice(0, 1 if first_only else None)
        x = x[:, kept] + self.layer_scale1["lambda1"] * self._attend(tokens[:, kept], tokens)
        hidden = functional.gelu(self.mlp["fc1"](self.norm2(x)))
        out: Tensor = x + self.layer_scale2["lambda1"] * self.mlp["fc2"](hidden)
        return out

    def _attend(self, queries: Tensor, tokens: Tensor) -> Tensor:
        parts = self.attention.get_submodule("attention")
        heads = [
            rearrange(parts.get_submodule(name)(given), "b n (h d) -> b h n d", h=self.heads)
            for name, given in (("query", queries), ("key", tokens), ("value", tokens))
        ]
        mixed = functional.scaled_dot_product_attention(*heads)
        out: Tensor = self.attention.get_submodule("output.dense")(
            rearrange(mixed, "b h n d -> b n (h d)")
        )
        return out


class Dinov2(nn.Module):
    """The network; `width` and `heads` tell ViT-S (384, 6) from ViT-B (768, 12)."""

    def __init__(self, width: int, heads: int, layers: int = 12) -> None:
        super().__init__()
        self.embeddings = Embeddings(width)
        blocks = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.encoder = nn.ModuleDict({"layer": blocks})
        self.layernorm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised class tokens.

        Args:
            pictures: (B, 3, H, W), sides multiples of 14, normalised to ImageNet's mean 0 and
                deviation 1.

        Returns:
            (B, D).
        """
        x = self.embeddings(pictures)
        *layers, last = self.encoder.get_submodule("layer").children()
        for layer in layers:
            x = layer(x)
        tokens: Tensor = self.layernorm(last(x, first_only=True))
        return tokens[:, 0]
