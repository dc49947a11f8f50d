"""CLIP RN50 without positions in its attention pool, so that pictures of any size go in.

Source: Radford et al. 2021 (arXiv 2103.00020) for the network; Wang et al. 2022 (arXiv 2207.12396)
for leaving out the positions. Parameter names as in OpenAI's RN50 checkpoint.

Shapes: B pictures or texts, L tokens, D width.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
BLOCKS = (3, 4, 6, 3)
WIDTH = 64  # channels after the stem
EMBEDDING = 1024
POOL_HEADS = 32
TEXT_WIDTH, TEXT_HEADS, TEXT_LAYERS, TEXT_LENGTH, VOCABULARY = 512, 8, 12, 77, 49408


class ResidualBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolutions; an average pool halves the size where the stride is 2."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels != 4 * width:
            # The published names of its parts are 0 and 1, with the pool before them.
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 4 width, H / stride, W / stride)."""
        y: Tensor = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(self.pool(y)))
        return y.add_(self.downsample(self.pool(x))).relu_()


class AttentionPool(nn.Module):
    """Attention of the mean feature over the mean and every place."""

    def __init__(self) -> None:
        super().__init__()
        width = 32 * WIDTH
        self.positional_embedding = nn.Parameter(torch.zeros(50, width))  # in the file, not used
        self.k_proj, self.q_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, H, W) to (B, EMBEDDING).

        There is one query, so keys and values need not be computed for every place: q . (K x + k)
        equals (K^T q) . x up to a constant that the softmax removes, and the mean of V x is V times
        the mean of x.
        """
        places = x.flatten(2).transpose(1, 2)
        tokens_BLD = torch.cat((places.mean(dim=1, keepdim=True), places), dim=1)
        q_BHC = rearrange(self.q_proj(tokens_BLD[:, 0]), "b (h c) -> b h c", h=POOL_HEADS)
        k_HCD = rearrange(self.k_proj.weight, "(h c) d -> h c d", h=POOL_HEADS)
        query_BHD = torch.einsum("bhc,hcd->bhd", q_BHC * q_BHC.shape[-1] ** -0.5, k_HCD)
        attention_BHL = (query_BHD @ tokens_BLD.transpose(1, 2)).softmax(dim=-1)
        mixed_BHD = attention_BHL @ tokens_BLD
        v_HCD = rearrange(self.v_proj.weight, "(h c) d -> h c d", h=POOL_HEADS)
        value = torch.einsum("bhd,hcd->bhc", mixed_BHD, v_HCD).flatten(1) + self.v_proj.bias
        features: Tensor = self.c_proj(value)
        return features


class PictureTower(nn.Module):
    """The residual network of CLIP RN50."""

    def __init__(self) -> None:
        super().__init__()
        half = WIDTH // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, WIDTH, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(WIDTH)
        channels = WIDTH
        for stage, count in enumerate(BLOCKS):
            blocks = []
            for index in range(count):
                stride = 2 if stage and not index else 1
                blocks.append(ResidualBlock(channels, WIDTH * 2**stage, stride))
                channels = 4 * WIDTH * 2**stage
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.attnpool = AttentionPool()

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], at least 32 x 32, to features (B, EMBEDDING)."""
        mean, deviation = (
            torch.tensor(constant, device=pictures.device, dtype=pictures.dtype)[:, None, None]
            for constant in (MEAN, DEVIATION)
        )
        x = (pictures - mean) / deviation
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = norm(conv(x)).relu_()
        x = functional.avg_pool2d(x, 2)
        for stage in range(len(BLOCKS)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        features: Tensor = self.attnpool(x)
        return features


class TextBlock(nn.Module):
    """Causal attention and a feed-forward part, each normalised first and added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(TEXT_WIDTH), nn.LayerNorm(TEXT_WIDTH)
        self.attn = nn.MultiheadAttention(TEXT_WIDTH, TEXT_HEADS, batch_first=True)
        self.mlp = nn.ModuleDict(
            {
                "c_fc": nn.Linear(TEXT_WIDTH, 4 * TEXT_WIDTH),
                "c_proj": nn.Linear(4 * TEXT_WIDTH, TEXT_WIDTH),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D)."""
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        tokens = self.ln_1(x)
        x = x + self.attn(tokens, tokens, tokens, need_weights=False, attn_mask=later)[0]
        hidden = self.mlp["c_fc"](self.ln_2(x))
        out: Tensor = x + self.mlp["c_proj"](hidden * torch.sigmoid(1.702 * hidden))
        return out


class Clip(nn.Module):
    """Both towers, with the published parameter names."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = PictureTower()
        blocks = nn.Sequential(*(TextBlock() for _ in range(TEXT_LAYERS)))
        self.transformer = nn.ModuleDict({"resblocks": blocks})
        self.token_embedding = nn.Embedding(VOCABULARY, TEXT_WIDTH)
        self.positional_embedding = nn.Parameter(0.01 * torch.randn(TEXT_LENGTH, TEXT_WIDTH))
        self.ln_final = nn.LayerNorm(TEXT_WIDTH)
        self.text_projection = nn.Parameter(TEXT_WIDTH**-0.5 * torch.randn(TEXT_WIDTH, EMBEDDING))
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def encode_texts(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Features of texts (B, EMBEDDING).

        Args:
            texts: Token numbers of each text, from start to end mark. They need no padding, since
                no token sees a later one.
        """
        features = []
        for tokens in texts:
            numbers = torch.tensor(tokens, device=self.positional_embedding.device)
            x = self.token_embedding(numbers) + self.positional_embedding[: len(tokens)]
            x = self.transformer["resblocks"](x[None])
            features.append(self.ln_final(x[0, -1]) @ self.text_projection)
        return torch.stack(features)


def fold_norms(tower: PictureTower) -> PictureTower:
    """Merges every batch normalisation into the convolution before it.

    The tower must be in evaluation mode. The result is the same up to rounding and saves a pass
    over each feature map.
    """
    for module in tower.modules():
        parts = dict(module.named_children())
        pairs = [(f"conv{i}", f"bn{i}") for i in (1, 2, 3)]
        if isinstance(module, nn.Sequential):
            pairs = [("0", "1")]
        for conv, norm in pairs:
            kernel, scale = parts.get(conv), parts.get(norm)
            if isinstance(kernel, nn.Conv2d) and isinstance(scale, nn.BatchNorm2d):
                setattr(module, conv, fuse_conv_bn_eval(kernel, scale))
                setattr(module, norm, nn.Identity())
    return tower
