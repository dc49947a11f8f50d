"""The trunk of AlexNet as LPIPS uses it: the outputs of its five rectified convolutions.

Source: Krizhevsky 2014 (arXiv 1404.5997) with torchvision's parameter names; Zhang et al. 2018
(arXiv 1801.03924) for the places and the scaling of the input.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# LPIPS maps [0, 1] to [-1, 1] and then takes this mean and deviation (lpips 0.1.4).
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
CHANNELS = (64, 192, 384, 256, 256)
CONVOLUTIONS = (0, 3, 6, 8, 10)
POOLED = (3, 6)  # convolutions that come after a 3x3 maximum with stride 2


class AlexNetTrunk(nn.Module):
    """Five convolutions, named as in torchvision: `features.0`, `.3`, `.6`, `.8`, `.10`."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict(
            {
                "0": nn.Conv2d(3, 64, 11, stride=4, padding=2),
                "3": nn.Conv2d(64, 192, 5, padding=2),
                "6": nn.Conv2d(192, 384, 3, padding=1),
                "8": nn.Conv2d(384, 256, 3, padding=1),
                "10": nn.Conv2d(256, 256, 3, padding=1),
            }
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features of pictures.

        Args:
            pictures: (B, 3, H, W) in [0, 1], at least 31 x 31.

        Returns:
            Five tensors (B, C, H', W'), finest first.
        """
        shift, scale = (
            torch.tensor(constant, device=pictures.device, dtype=pictures.dtype)[:, None, None]
            for constant in (SHIFT, SCALE)
        )
        x = (pictures * 2 - 1 - shift) / scale
        features = []
        for index in CONVOLUTIONS:
            x = functional.max_pool2d(x, 3, 2) if index in POOLED else x
            x = self.features[str(index)](x).relu_()
            features.append(x)
        return features
