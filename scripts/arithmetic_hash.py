"""Prints a short hash of what this process's libraries compute, to tell instruction sets apart.

A library ignores some settings on some CPUs: two settings with one hash run the same code for these
operations. The inputs are drawn as integers, so they are the same under every setting.
"""

import hashlib
import os

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

_RANDOM = np.random.default_rng(0)


def draw(*shape: int) -> torch.Tensor:
    """float32 in [-2, 2)."""
    return torch.from_numpy(_RANDOM.integers(-(2**20), 2**20, shape).astype(np.float32) / 2**19)


def results() -> list[torch.Tensor | NDArray[np.generic]]:
    """One result of each kernel that the tests rest on: PyTorch, oneDNN, MKL, numpy, OpenCV."""
    rows, columns, heads = draw(96, 192), draw(192, 96), draw(1, 2, 64, 32)
    array = rows.numpy().astype(np.float64)
    before, after = _RANDOM.integers(0, 256, (2, 64, 64), dtype=np.uint8)
    flow = np.zeros((64, 64, 2), np.float32)
    return [
        torch.randn(999, generator=torch.Generator().manual_seed(0)),
        rows @ columns,
        (rows.bfloat16() @ columns.bfloat16()).float(),
        functional.conv2d(draw(2, 32, 64, 64), draw(32, 32, 3, 3)),
        functional.conv3d(draw(1, 16, 9, 32, 32), draw(16, 16, 3, 3, 3)),
        functional.scaled_dot_product_attention(heads, heads, heads),
        functional.layer_norm(rows, (192,)),
        functional.gelu(rows, approximate="tanh"),
        rows.exp().sum(),
        np.exp(rows.numpy()),
        np.linalg.lstsq(array, array[:, 0])[0],
        cv2.calcOpticalFlowFarneback(before, after, flow, 0.5, 3, 15, 3, 5, 1.2, 0),
    ]


def main() -> None:
    """Print eight hexadecimal digits."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    digest = hashlib.sha256()
    for result in results():
        digest.update(np.asarray(result).tobytes())
    print(digest.hexdigest()[:8])


if __name__ == "__main__":
    main()
