"""Rotary positions against complex numbers turned one by one in float64."""

import cmath
from collections.abc import Callable

import pytest
import torch

from hiar.model.rope import rotary_table, rotate, split_head

pytestmark = pytest.mark.numerics

HEADS = pytest.mark.parametrize("head_dim", [128, 16, 24, 32])


def turn_one_by_one(x: torch.Tensor, first_frame: int, rows: int, columns: int) -> torch.Tensor:
    """Complex128, explicit loops; the split is the release's: d - 4 (d // 6), 2 (d // 6) twice."""
    batch, num_tokens, heads, head_dim = x.shape
    third = head_dim // 6
    out = torch.empty(x.shape, dtype=torch.float64)
    for token in range(num_tokens):
        frame = first_frame + token // (rows * columns)
        row, column = token // columns % rows, token % columns
        angles = []
        for position, pairs in (
            (frame, head_dim // 2 - 2 * third), (row, third), (column, third),
        ):  # fmt: skip
            angles += [position * 10000.0 ** (-i / pairs) for i in range(pairs)]
        for pair, angle in enumerate(angles):
            factor = cmath.exp(1j * angle)
            for b in range(batch):
                for head in range(heads):
                    real, imaginary = x[b, token, head, 2 * pair : 2 * pair + 2].tolist()
                    turned = complex(real, imaginary) * factor
                    out[b, token, head, 2 * pair] = turned.real
                    out[b, token, head, 2 * pair + 1] = turned.imag
    return out


@pytest.mark.parametrize(
    ("head_dim", "split"),
    [(128, (22, 21, 21)), (16, (4, 2, 2)), (24, (4, 4, 4)), (32, (6, 5, 5))],
)
def test_split(head_dim: int, split: tuple[int, int, int]) -> None:
    assert split_head(head_dim) == split


@HEADS
@pytest.mark.parametrize("first_frame", [0, 7, 5_000, 100_000])
def test_rotation_equals_complex_numbers(
    draw: Callable[..., torch.Tensor], head_dim: int, first_frame: int
) -> None:
    x = draw(1, 2 * 2 * 3, 2, head_dim)
    found = rotate(x, rotary_table(first_frame, 2, 2, 3, head_dim))
    assert found.dtype == torch.float32
    # atol: three float32 roundings of numbers up to 4
    torch.testing.assert_close(
        found.double(), turn_one_by_one(x, first_frame, 2, 3), rtol=1e-5, atol=1e-6
    )


@HEADS
def test_scores_depend_on_the_distance_alone(
    draw: Callable[..., torch.Tensor], head_dim: int
) -> None:
    query, key = draw(1, 6, 1, head_dim), draw(1, 6, 1, head_dim, seed=1)

    def scores(query_frame: int, key_frame: int) -> torch.Tensor:
        turned_query = rotate(query, rotary_table(query_frame, 1, 2, 3, head_dim))
        turned_key = rotate(key, rotary_table(key_frame, 1, 2, 3, head_dim))
        return torch.einsum("blnk,bmnk->lm", turned_query, turned_key)

    near = scores(4, 1)
    for shift in (20, 5_000, 100_000):
        # atol: a sum of head_dim products, each rounded to float32
        torch.testing.assert_close(scores(4 + shift, 1 + shift), near, rtol=1e-5, atol=2e-5)
    assert (scores(5, 1) - near).abs().max() > 0.01


def test_rotation_keeps_length_and_dtype(draw: Callable[..., torch.Tensor]) -> None:
    x = draw(2, 6, 2, 16)
    table = rotary_table(3, 1, 2, 3, 16)
    torch.testing.assert_close(rotate(x, table).norm(dim=-1), x.norm(dim=-1))
    assert rotate(x.bfloat16(), table).dtype == torch.bfloat16


def test_first_token_of_a_video_is_not_turned(draw: Callable[..., torch.Tensor]) -> None:
    x = draw(1, 1, 2, 16)
    assert torch.equal(rotate(x, rotary_table(0, 1, 1, 1, 16)), x)
