"""The tiny text encoder computes what transformers' UMT5 does, and reads bytes as ByT5 does."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import ByT5Tokenizer, UMT5Config, UMT5EncoderModel

from hiar.errors import UsageError
from hiar.loading import load_tiny_text_encoder
from hiar.tiny.preset import HELD_OUT_PROMPTS, TEXT_CONFIG, asset
from hiar.tiny.text_encoder import ByteTokenizer, load_tiny_umt5, position_buckets

pytestmark = pytest.mark.numerics

TEXT_LEN = 24
REFERENCE = ByT5Tokenizer(extra_ids=0)


@pytest.mark.parametrize("shipped", [True, False])
def test_it_equals_transformers(shipped: bool, tmp_path: Path) -> None:
    if shipped:
        folder = asset("text_encoder")
    else:
        torch.manual_seed(0)
        UMT5EncoderModel(UMT5Config(**TEXT_CONFIG)).save_pretrained(tmp_path)
        folder = tmp_path
    prompts = [*HELD_OUT_PROMPTS.read_text().splitlines(), "x" * 200, ""]
    # As long as the buckets of the farthest positions, so that each is used.
    tokens = ByteTokenizer()(
        prompts, padding="max_length", max_length=160, truncation=True, return_tensors="pt"
    )
    reference = UMT5EncoderModel.from_pretrained(folder).eval()
    with torch.no_grad():
        found = load_tiny_umt5(folder)(tokens.input_ids, tokens.attention_mask)
        expected = reference(tokens.input_ids, attention_mask=tokens.attention_mask)
    is_token = tokens.attention_mask == 1
    torch.testing.assert_close(
        found.last_hidden_state[is_token], expected.last_hidden_state[is_token],
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip
    assert float(expected.last_hidden_state[is_token].std()) > 0.1


@given(st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_bytes_are_read_as_byt5_does(texts: list[str]) -> None:
    settings = {"padding": "max_length", "max_length": TEXT_LEN, "truncation": True,
                "return_tensors": "pt"}  # fmt: skip
    found = ByteTokenizer()(texts, **settings)  # type: ignore[arg-type]
    expected = REFERENCE(texts, **settings)
    assert torch.equal(found.input_ids, expected.input_ids)
    assert torch.equal(found.attention_mask, expected.attention_mask)
    for text in texts:
        assert ByteTokenizer()(text).input_ids == REFERENCE(text).input_ids


def test_what_byt5_takes_for_its_marks_is_text_here() -> None:
    assert ByteTokenizer()("</s>").input_ids == [*(3 + byte for byte in b"</s>"), 1]


def test_every_position_has_a_bucket() -> None:
    buckets = position_buckets(torch.arange(-300, 301))
    assert set(buckets.tolist()) == set(range(32)) - {16}  # 16 is a later key at no distance
    assert buckets[300 - 3 : 300 + 4].tolist() == [3, 2, 1, 0, 17, 18, 19]


def test_it_needs_no_transformers() -> None:
    """In a process of its own: the tests themselves import transformers."""
    code = (
        "import sys\nfrom hiar.loading import load_tiny_text_encoder\n"
        "load_tiny_text_encoder(96).encode(['a red disc'])\nprint('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    source = asset("text_encoder")
    tensors = load_file(source / "model.safetensors")
    tensors.pop("shared.weight")
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((source / "config.json").read_text())
    with pytest.raises(UsageError, match=r"shared\.weight"):
        load_tiny_umt5(tmp_path)


def test_the_padding_is_zero() -> None:
    embedded = load_tiny_text_encoder(TEXT_LEN).encode(["a red disc"])
    assert embedded.shape == (1, TEXT_LEN, TEXT_CONFIG["d_model"])
    assert embedded[0, :11].any(dim=-1).all()
    assert not embedded[0, 11:].any()
