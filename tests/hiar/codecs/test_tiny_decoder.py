"""The tiny decoder at the published layout, with random weights, against a decoder of one page."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from hiar.codecs.tiny_decoder import TinyDecoder, load_tiny_decoder
from hiar.errors import UsageError
from hiar.pipeline import HiARPipeline
from hiar.runtime.provenance import file_sha256

pytestmark = pytest.mark.numerics

Tensors = dict[str, torch.Tensor]


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the decoder in `taew2_1.pth`, as its repository's code implies them."""
    shapes: dict[str, tuple[int, ...]] = {
        "decoder.1.weight": (256, 16, 3, 3), "decoder.1.bias": (256,),
        "decoder.7.conv.weight": (256, 256, 1, 1), "decoder.8.weight": (128, 256, 3, 3),
        "decoder.13.conv.weight": (256, 128, 1, 1), "decoder.14.weight": (64, 128, 3, 3),
        "decoder.19.conv.weight": (128, 64, 1, 1), "decoder.20.weight": (64, 64, 3, 3),
        "decoder.22.weight": (3, 64, 3, 3), "decoder.22.bias": (3,),
    }  # fmt: skip
    for blocks, width in (((3, 4, 5), 256), ((9, 10, 11), 128), ((15, 16, 17), 64)):
        for block in blocks:
            for layer, width_in in ((0, 2 * width), (2, width), (4, width)):
                shapes[f"decoder.{block}.conv.{layer}.weight"] = (width, width_in, 3, 3)
                shapes[f"decoder.{block}.conv.{layer}.bias"] = (width,)
    return shapes


@pytest.fixture(scope="module")
def weights() -> Tensors:
    """Random weights that keep the variance, so that no frame saturates."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in published_shapes().items():
        fan_in = torch.Size(shape[1:]).numel() if len(shape) > 1 else 400
        tensors[name] = torch.randn(shape, generator=generator) / fan_in**0.5
    tensors["decoder.22.bias"] += 0.5
    return tensors


@pytest.fixture(scope="module")
def decoder(weights: Tensors) -> TinyDecoder:
    return load_tiny_decoder(weights | {"encoder.0.weight": torch.zeros(64, 3, 3, 3)})


def decode_whole(weights: Tensors, latents: torch.Tensor) -> torch.Tensor:
    """All frames of one video at once, [F, 16, h, w] to [4 F - 3, 3, 8 h, 8 w] in [-1, 1]."""

    def conv(x: torch.Tensor, name: str) -> torch.Tensor:
        weight = weights[f"decoder.{name}.weight"]
        return functional.conv2d(
            x, weight, weights.get(f"decoder.{name}.bias"), padding=weight.shape[-1] // 2
        )

    x = conv(3 * torch.tanh(latents / 3), "1").relu()
    for start, repeats in ((3, 1), (9, 2), (15, 2)):
        for block in range(start, start + 3):
            earlier = functional.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:-1]
            h = torch.cat((x, earlier), dim=1)
            h = conv(conv(conv(h, f"{block}.conv.0").relu(), f"{block}.conv.2").relu(),
                     f"{block}.conv.4")  # fmt: skip
            x = (h + x).relu()
        x = conv(functional.interpolate(x, scale_factor=2), f"{start + 4}.conv")
        frames, channels, height, width = x.shape
        x = x.reshape(frames * repeats, channels // repeats, height, width)
        x = conv(x, str(start + 5))
    return conv(x.relu(), "22").clamp(0, 1)[3:] * 2 - 1


def test_the_layout_is_the_published_one(decoder: TinyDecoder) -> None:
    found = {name: tuple(value.shape) for name, value in decoder.state_dict().items()}
    assert found == published_shapes()


def test_equals_the_whole_video_at_once(
    decoder: TinyDecoder, weights: Tensors, draw: Callable[..., torch.Tensor]
) -> None:
    latents = draw(2, 4, 16, 3, 5)
    found = decoder.decode(latents)
    assert found.shape == (2, 3, 13, 24, 40)
    for video, z in zip(found, latents, strict=True):
        expected = decode_whole(weights, z).transpose(0, 1)
        torch.testing.assert_close(video, expected, rtol=0, atol=1e-5)
    assert 0.05 < found.std() < 1  # neither flat nor all clamped


@pytest.mark.parametrize("sizes", [(3, 3), (1, 5), (2, 1, 3)])
def test_a_stream_equals_the_whole(
    decoder: TinyDecoder, draw: Callable[..., torch.Tensor], sizes: tuple[int, ...]
) -> None:
    latents = draw(2, sum(sizes), 16, 2, 3)
    stream = decoder.stream()
    blocks = [stream.decode_block(block) for block in latents.split(sizes, dim=1)]
    assert [block.shape[2] for block in blocks] == [
        4 * size - (3 if index == 0 else 0) for index, size in enumerate(sizes)
    ]
    assert torch.equal(torch.cat(blocks, dim=2), decoder.decode(latents))
    stream.reset()
    assert torch.equal(stream.decode_block(latents[:, : sizes[0]]), blocks[0])


def test_no_frame_sees_the_future(decoder: TinyDecoder, draw: Callable[..., torch.Tensor]) -> None:
    latents = draw(1, 4, 16, 2, 3)
    changed = latents.clone()
    changed[:, 2] += 1
    first, second = decoder.decode(latents), decoder.decode(changed)
    # Latent frames 0 and 1 are frames 0 to 4.
    assert torch.equal(first[:, :, :5], second[:, :, :5])
    assert not torch.equal(first[:, :, 5:9], second[:, :, 5:9])


def test_the_published_file_loads_from_disk(tmp_path: Path, weights: Tensors) -> None:
    torch.save(weights, tmp_path / "taew2_1.pth")
    save_file(weights, tmp_path / "taew2_1.safetensors")
    for name in ("taew2_1.pth", "taew2_1.safetensors"):
        found = load_tiny_decoder(tmp_path / name, dtype=torch.bfloat16)
        assert found.decoder[1].weight.dtype == torch.bfloat16
        frames = found.decode(torch.zeros(1, 1, 16, 1, 1))
        assert (frames.dtype, frames.shape) == (torch.float32, (1, 3, 1, 8, 8))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decoder.7.conv.weight": None}, r"missing decoder\.7\.conv\.weight$"),
        ({"decoder.23.bias": torch.zeros(3)}, r"unknown decoder\.23\.bias$"),
        ({"decoder.1.weight": torch.zeros(256, 48, 3, 3)}, r"is \(256, 48, 3, 3\), not"),
        ({"decoder.22.bias": torch.full((3,), torch.nan)}, "NaN or infinite"),
    ],
)
def test_other_weights_are_named(
    weights: Tensors, change: dict[str, torch.Tensor | None], words: str
) -> None:
    changed = {name: value for name, value in (weights | change).items() if value is not None}
    with pytest.raises(UsageError, match=words):
        load_tiny_decoder(changed)


def test_blocks_of_other_shapes_are_named(decoder: TinyDecoder) -> None:
    stream = decoder.stream()
    stream.decode_block(torch.zeros(1, 1, 16, 2, 2))
    with pytest.raises(UsageError, match=r"\(1, 1, 16, 2, 3\) cannot follow one of \(1, 1, 16"):
        stream.decode_block(torch.zeros(1, 1, 16, 2, 3))
    with pytest.raises(UsageError, match=r"must be \[B, F >= 1, 16, h, w\]"):
        stream.decode_block(torch.zeros(1, 1, 48, 2, 2))


def test_a_pipeline_decodes_with_it(
    tmp_path: Path, weights: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path))
    with pytest.raises(UsageError, match=r"tiny-decoder .*hiar weights fetch tiny-decoder"):
        HiARPipeline.from_pretrained("tiny", decoder="tiny-decoder")
    path = tmp_path / "taew2_1.pth"
    torch.save(weights, path)
    pipeline = HiARPipeline.from_pretrained("tiny", decoder=path)
    assert pipeline.weights["decoder"] == file_sha256(path)
    latents = pipeline("a red disc", num_frames=21, output_type="latent").frames
    frames = pipeline("a red disc", num_frames=21, output_type="pt").frames
    expected = load_tiny_decoder(path).decode(latents).transpose(1, 2) / 2 + 0.5
    torch.testing.assert_close(frames, expected, rtol=0, atol=1e-6)
