"""3 x 3 convolutions with a quarter of the multiplications: Winograd's F(4 x 4, 3 x 3).

A tile of 4 x 4 outputs needs 36 multiplications a pair of channels in place of 144, between sums
of inputs and sums of outputs. For wide layers in float32 on a CPU this is faster than a direct
convolution. Its rounding error is about ten times larger: some 1e-5 of the largest output.

Source: Lavin and Gray 2015 (arXiv 1509.09308), points 0, 1, -1, 2, -2 and infinity.

Shapes: C channels in, K out; tiles lie in rows R by columns S; one picture at a time.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from drift.metrics.networks.settings import MetricSettings

TILE = 4  # side of a tile of outputs; it depends on TILE + 2 inputs a side
POINTS = TILE + 2
MIN_CHANNELS = 128  # with fewer the sums cost more than they save (measured: 64, 128; AVX2)
BAND_TILES = 400  # number of tiles at once, so that their sums stay in the cache
KERNEL_SUMS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


class WinogradConv2d(nn.Module):
    """Replaces a 3 x 3 convolution with padding 1, stride 1 and fixed weights."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        sums = torch.tensor(KERNEL_SUMS, dtype=torch.float64, device=conv.weight.device)
        kernel = torch.einsum("ia,kcab,jb->jick", sums, conv.weight.double(), sums)
        self.register_buffer("kernel", kernel.flatten(0, 1).to(conv.weight.dtype).contiguous())
        bias = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
        self.register_buffer("bias", bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H, W), stored channels last."""
        pictures = [self._picture(picture) for picture in x.permute(0, 2, 3, 1)]
        return torch.stack(pictures).permute(0, 3, 1, 2)

    def _picture(self, x: Tensor) -> Tensor:
        """(H, W, C) to (H, W, K)."""
        height, width, _ = x.shape
        rows, columns = -(-height // TILE), -(-width // TILE)
        right, below = TILE * columns + 1 - width, TILE * rows + 1 - height
        padded = functional.pad(x, (0, 0, 1, right, 1, below))
        out = x.new_empty(rows, TILE, columns, TILE, len(self.get_buffer("bias")))
        step = max(1, BAND_TILES // columns)
        for first in range(0, rows, step):
            band = out[first : first + step]
            top = TILE * first
            self._band(padded[top : top + TILE * len(band) + 2], band)
        return out.view(TILE * rows, TILE * columns, -1)[:height, :width]

    def _band(self, x: Tensor, out: Tensor) -> None:
        """(4 R + 2, 4 S + 2, C) to (R, 4, S, 4, K), written to `out`."""
        rows, _, columns, _, width = out.shape
        channels = x.shape[-1]
        down = x.new_empty(POINTS, rows, x.shape[1], channels)
        sum_inputs([x[i : i + TILE * rows - 3 : TILE] for i in range(POINTS)], down)
        both = x.new_empty(POINTS, POINTS, rows, columns, channels)
        sum_inputs([down[:, :, j : j + TILE * columns - 3 : TILE] for j in range(POINTS)], both)
        product = torch.bmm(both.view(POINTS**2, -1, channels), self.get_buffer("kernel"))
        across = x.new_empty(TILE, POINTS, rows, columns, width)
        sum_outputs(product.view(POINTS, POINTS, rows, columns, width).unbind(), across)
        places = [out[:, i].permute(2, 0, 1, 3) for i in range(TILE)]
        sum_outputs(across.unbind(1), places)
        out += self.get_buffer("bias")


def sum_inputs(d: Sequence[Tensor], out: Tensor) -> None:
    """B^T d along one side: six inputs to six sums of equal shape, written to `out` (6, ...)."""
    even, odd = torch.sub(d[4], d[2], alpha=4), torch.sub(d[3], d[1], alpha=4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.sub(d[4], d[2], out=even)
    torch.sub(d[3], d[1], out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    torch.sub(d[0], d[2], out=out[0]).mul_(4).add_(even)
    torch.sub(d[5], d[3], out=out[5]).sub_(odd, alpha=4)


def sum_outputs(m: Sequence[Tensor], out: Sequence[Tensor] | Tensor) -> None:
    """A^T m along one side: six products to four outputs, written to `out`."""
    ones, one = m[1] + m[2], m[1] - m[2]
    twos, two = m[3] + m[4], m[3] - m[4]
    torch.add(m[0], ones, out=out[0]).add_(twos)
    torch.add(one, two, alpha=2, out=out[1])
    torch.add(ones, twos, alpha=4, out=out[2])
    torch.add(m[5], one, out=out[3]).add_(two, alpha=8)


def use_winograd(network: nn.Module, settings: MetricSettings, dtype: torch.dtype) -> None:
    """Replaces, in place, the convolutions of a network for which it is faster.

    Args:
        network: Network whose weights will not change any more.
        settings: Settings with the device; on a GPU the library chooses its own method.
        dtype: Precision of the products; only float32, since sums lose too much in bfloat16.
    """
    if settings.device_kind != "cpu" or dtype != torch.float32:
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and _gains(child):
                setattr(module, name, WinogradConv2d(child))


def _gains(conv: nn.Conv2d) -> bool:
    plain = (conv.kernel_size, conv.stride, conv.dilation, conv.padding, conv.groups)
    wide = min(conv.in_channels, conv.out_channels) >= MIN_CHANNELS
    return wide and plain == ((3, 3), (1, 1), (1, 1), (1, 1), 1)
