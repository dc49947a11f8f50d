"""MUSIQ: patches of a picture at several sizes, a small stem and a transformer.

Source: Ke et al., "MUSIQ: Multi-scale Image Quality Transformer", 2021 (arXiv 2108.05997);
parameter names, sizes and constants as in the checkpoints that pyiqa 0.1.16 loads.

Shapes: B pictures, N tokens of one picture, D width.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

PATCH = 32
LONGER_SIDES = (224, 384)  # the network sees the picture at these sizes and at its own
GRID = 10  # rows and columns of the hashed position table
WIDTH, HIDDEN, HEADS, LAYERS = 384, 1152, 6, 14
PATCHES_AT_ONCE = {"cpu": 64, "cuda": 16384}  # in the stem; 64 patches are 4 MiB of features


class StandardisedConv(nn.Conv2d):
    """A convolution whose kernels have mean 0 and variance 1 (Qiao et al. 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W'), padded so that H' = ceil(H / stride)."""
        size = self.kernel_size[0]
        kernel = self.kernel().contiguous(memory_format=torch.channels_last)
        if self.stride == (1, 1):
            return functional.conv2d(x, kernel, padding=size // 2)
        return functional.conv2d(pad_same(x, size, self.stride[0]), kernel, None, self.stride)

    def kernel(self) -> Tensor:
        """The standardised kernels."""
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (self.weight - mean) / (deviation + 1e-5)


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pads (..., H, W) with zeros to ceil(H / stride) windows; an odd row or column goes last."""
    pads = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads) if any(pads) else x


class GroupNorm(nn.GroupNorm):
    """Group normalisation with a rectifier, quick where channels are stored last."""

    def forward(self, x: Tensor) -> Tensor:
        """(P, C, H, W) to the same shape, >= 0."""
        return self.normalise(x).relu_()

    def normalise(self, x: Tensor) -> Tensor:
        """Normalises without the rectifier; sums over places, then over the channels of a group."""
        groups, channels = self.num_groups, self.num_channels // self.num_groups

        def channel_means(y: Tensor) -> Tensor:
            """Mean over places and group, for each channel."""
            places: Tensor = y.mean(dim=(2, 3)).unflatten(1, (groups, channels))
            return places.mean(dim=2).repeat_interleave(channels, dim=1)[:, :, None, None]

        x = x - channel_means(x)
        scale = self.weight[:, None, None] * torch.rsqrt(channel_means(x.square()) + self.eps)
        return torch.addcmul(self.bias[:, None, None], x, scale)


class Bottleneck(nn.Module):
    """A residual block of three convolutions with group normalisation."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = StandardisedConv(channels, channels, 1, bias=False)
        self.gn1 = GroupNorm(32, channels, eps=1e-4)
        self.conv2 = StandardisedConv(channels, channels, 3, bias=False)
        self.gn2 = GroupNorm(32, channels, eps=1e-4)
        self.conv3 = StandardisedConv(channels, out_channels, 1, bias=False)
        self.gn3 = GroupNorm(32, out_channels, eps=1e-4)
        self.conv_proj = StandardisedConv(channels, out_channels, 1, bias=False)
        self.gn_proj = GroupNorm(32, out_channels, eps=1e-4)

    def forward(self, x: Tensor) -> Tensor:
        """(P, C, H, W) to (P, C', H, W)."""
        y = self.gn2(self.conv2(self.gn1(self.conv1(x))))
        y = self.gn3.normalise(self.conv3(y))
        return y.add_(self.gn_proj.normalise(self.conv_proj(x))).relu_()


class Attention(nn.Module):
    """Multi-head attention of `queries` over `tokens`."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """(B, M, D) and (B, N, D) to (B, M, D)."""
        heads = [
            rearrange(part, "b n (h d) -> b h n d", h=HEADS)
            for part in (self.query(queries), self.key(tokens), self.value(tokens))
        ]
        mixed = functional.scaled_dot_product_attention(*heads)
        out: Tensor = self.out(rearrange(mixed, "b h n d -> b n (h d)"))
        return out


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class EncoderBlock(nn.Module):
    """Attention and feed-forward, each normalised first and added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp = FeedForward()

    def forward(self, x: Tensor, *, first_only: bool = False) -> Tensor:
        """(B, N, D) to (B, N, D), or to (B, 1, D) for the first token alone."""
        tokens = self.norm1(x)
        kept = slice(0, 1 if first_only else None)
        x = x[:, kept] + self.attention(tokens[:, kept], tokens)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Encoder(nn.Module):
    """The transformer: class token, positions, scales, blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.cls = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.posembed_input = nn.ParameterDict(
            {"position_emb": nn.Parameter(0.02 * torch.randn(1, GRID * GRID, WIDTH))}
        )
        self.scaleembed_input = nn.ParameterDict(
            {"scale_emb": nn.Parameter(0.02 * torch.randn(len(LONGER_SIDES) + 1, WIDTH))}
        )
        self.encoder_norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.transformer = nn.ModuleDict(
            {f"encoderblock_{index}": EncoderBlock() for index in range(LAYERS)}
        )

    def forward(self, tokens: Tensor, positions: Tensor, scales: Tensor) -> Tensor:
        """Tokens (B, N, D) with position and scale (N,) each, to the class token (B, D)."""
        tokens = tokens + self.posembed_input["position_emb"][0, positions]
        tokens = tokens + self.scaleembed_input["scale_emb"][scales]
        x = torch.cat((self.cls.expand(len(tokens), -1, -1), tokens), dim=1)
        blocks = list(self.transformer.values())
        for block in blocks[:-1]:
            x = block(x)
        first: Tensor = self.encoder_norm(blocks[-1](x, first_only=True))[:, 0]
        return first


class Musiq(nn.Module):
    """The whole network with the published parameter names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_root = StandardisedConv(3, 64, 7, stride=2, bias=False)
        self.gn_root = GroupNorm(32, 64, eps=1e-6)
        self.block1 = Bottleneck(64, 256)
        self.embedding = nn.Linear(256 * (PATCH // 4) ** 2, WIDTH)
        self.transformer_encoder = Encoder()
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Quality of each picture.

        Args:
            pictures: (B, 3, H, W) in [0, 1], any size.

        Returns:
            (B,), about 0..100 with the published weights.
        """
        return self.score(self.token(pictures))

    def score(self, token: Tensor) -> Tensor:
        """Class token (B, D) to quality (B,); in float32, since bfloat16 has steps of 0.25."""
        scores: Tensor = self.head(token)[:, 0]
        return scores

    def token(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) to their class token (B, D)."""
        padded = [pad_same(view, PATCH, PATCH) for view in views(pictures * 2 - 1)]
        grids = [(view.shape[-2] // PATCH, view.shape[-1] // PATCH) for view in padded]
        positions = torch.cat([hashed_positions(*grid) for grid in grids]).to(pictures.device)
        counts = torch.tensor([rows * columns for rows, columns in grids])
        scales = torch.arange(len(grids)).repeat_interleave(counts).to(pictures.device)
        tokens = self._tokens(torch.cat([cut(view) for view in padded], dim=1))
        token: Tensor = self.transformer_encoder(tokens, positions, scales)
        return token

    def _tokens(self, patches: Tensor) -> Tensor:
        """Patches (B, N, PATCH, PATCH, 3) to tokens (B, N, D), as many at once as a cache holds."""
        parts = patches.flatten(0, 1).split(PATCHES_AT_ONCE[patches.device.type])
        features = torch.cat([self._stem(part.permute(0, 3, 1, 2)) for part in parts])
        tokens: Tensor = self.embedding(features)
        return tokens.view(len(patches), -1, WIDTH)

    def _stem(self, patches: Tensor) -> Tensor:
        """Patches (P, 3, PATCH, PATCH), stored channels last, to features (P, D')."""
        x = self.gn_root(self.conv_root(patches))
        x = self.block1(functional.max_pool2d(pad_same(x, 3, 2), 3, 2))
        features: Tensor = rearrange(x, "n c p q -> n (p q c)")
        return features


def cut(view: Tensor) -> Tensor:
    """Cuts a picture (B, 3, H, W) into its patches (B, N, PATCH, PATCH, 3), row by row."""
    patches: Tensor = rearrange(view, "b c (r p) (s q) -> b (r s) p q c", p=PATCH, q=PATCH)
    return patches


def views(pictures: Tensor) -> Sequence[Tensor]:
    """The picture with its longer side at each of `LONGER_SIDES`, then as it is.

    The published network pads the smaller views to a fixed number of tokens and masks the padding.
    A masked token changes nothing, so none is created here.
    """
    height, width = pictures.shape[-2:]
    resized = []
    for side in LONGER_SIDES:
        ratio = side / max(height, width)
        size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        resized.append(functional.interpolate(pictures, size, mode="bicubic", align_corners=False))
    return (*resized, pictures)


def hashed_positions(rows: int, columns: int) -> Tensor:
    """Index of each patch in the GRID x GRID table, row by row: (rows * columns,)."""
    row, column = (torch.arange(count) * GRID // count for count in (rows, columns))
    return (row[:, None] * GRID + column[None, :]).flatten()
