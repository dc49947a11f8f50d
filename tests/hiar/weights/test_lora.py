"""Merging a LoRA: closed forms and its bad input."""

import pytest
import torch

from hiar.errors import UsageError
from hiar.weights.lora import merge_lora

pytestmark = pytest.mark.numerics

BASE = {"a.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "a.bias": torch.ones(2)}
# B A = [[2], [4]] [[1, 3]] = [[2, 6], [4, 12]]
DOWN, UP = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0], [4.0]])


@pytest.mark.parametrize("name", ["a.lora_{}.weight", "a.lora_{}.default.weight"])
def test_the_product_is_added_at_scale_alpha_over_rank(name: str) -> None:
    lora = {name.format("A"): DOWN, name.format("B"): UP}
    assert merge_lora(BASE, lora, None)["a.weight"].tolist() == [[3, 6], [4, 13]]
    merged = merge_lora(BASE, lora, 0.5)
    assert merged["a.weight"].tolist() == [[2, 3], [2, 7]]
    assert merged["a.bias"] is BASE["a.bias"]
    assert BASE["a.weight"].tolist() == [[1, 0], [0, 1]]


def test_the_rank_divides() -> None:
    lora = {"a.lora_A.weight": DOWN.repeat(2, 1), "a.lora_B.weight": UP.repeat(1, 2)}
    # Two equal columns: B A doubles, and alpha / rank = 1 / 2 halves it again.
    assert merge_lora(BASE, lora, 1)["a.weight"].tolist() == [[3, 6], [4, 13]]


def test_bfloat16_is_summed_in_float32() -> None:
    base = {"a.weight": torch.full((1, 1), 1.0, dtype=torch.bfloat16)}
    # Each product is below bfloat16's step at 1 (2^-7); their float32 sum, 2^-7, is not.
    factor = torch.full((1, 4), 2.0**-5, dtype=torch.bfloat16)
    lora = {"a.lora_A.weight": 2 * factor.T, "a.lora_B.weight": factor}
    merged = merge_lora(base, lora, None)["a.weight"]
    assert merged.dtype == torch.bfloat16
    assert merged.item() == 1 + 2.0**-7


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        ({}, "holds no factors"),
        ({"a.lora_A.weight": DOWN}, r"LoRA of a lacks lora_B"),
        ({"a.weight": DOWN}, r"a\.weight is no LoRA factor"),
        ({"b.lora_A.weight": DOWN, "b.lora_B.weight": UP}, r"b\.weight, which the base"),
        ({"a.lora_A.weight": DOWN.T, "a.lora_B.weight": UP}, "does not fit"),
        ({"a.lora_A.weight": DOWN, "a.lora_B.weight": UP[0]}, "is no LoRA factor"),
    ],
)
def test_bad_input_is_named(lora: dict[str, torch.Tensor], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        merge_lora(BASE, lora, None)
