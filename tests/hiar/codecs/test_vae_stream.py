"""Decoding block by block equals diffusers' whole decode, in constant memory; encoding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan

from hiar.codecs.vae import VideoAutoencoder, from_uint8, load_autoencoder, to_uint8
from hiar.codecs.wan_decoder.layers import History
from hiar.errors import UsageError
from hiar.tiny.preset import VAE_CONFIG

pytestmark = pytest.mark.numerics

# Wan 2.1's own layout (no residual shortcuts, no patches) at a fraction of its width.
WAN_CONFIG: dict[str, Any] = {
    "base_dim": 4, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2,
    "temperal_downsample": [False, True, True],
}  # fmt: skip


@pytest.fixture(scope="module", params=["wan", "tiny"])
def autoencoder(request: pytest.FixtureRequest) -> VideoAutoencoder:
    torch.manual_seed(0)
    config = {"wan": WAN_CONFIG, "tiny": VAE_CONFIG}[request.param]
    return VideoAutoencoder(AutoencoderKLWan(**config))


@torch.no_grad()
def decode_by_diffusers(autoencoder: VideoAutoencoder, latents: torch.Tensor) -> torch.Tensor:
    config = autoencoder.vae.config
    mean, std = (
        torch.tensor(x).view(-1, 1, 1, 1) for x in (config.latents_mean, config.latents_std)
    )
    decoded: torch.Tensor = autoencoder.vae.decode(latents.transpose(1, 2) * std + mean).sample
    return decoded


def test_blocks_of_three_equal_the_whole(
    autoencoder: VideoAutoencoder,
    draw: Callable[..., torch.Tensor],
    relative_l2: Callable[[torch.Tensor, torch.Tensor], float],
) -> None:
    latents = draw(2, 9, 16, 2, 3)
    expected = decode_by_diffusers(autoencoder, latents)
    stream = autoencoder.stream()
    blocks = [stream.decode_block(block) for block in latents.split(3, dim=1)]
    assert [block.shape[2] for block in blocks] == [9, 12, 12]
    found = torch.cat(blocks, dim=2)
    assert relative_l2(found, expected) <= 1e-5
    assert (found - expected).abs().max() <= 1e-4  # 1 / 78 of a grey level
    assert torch.equal(autoencoder.decode(latents), found)
    assert expected.std() > 1e-3


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (1, 3), (2, 2), (4,)])
def test_blocks_of_any_size(
    autoencoder: VideoAutoencoder, draw: Callable[..., torch.Tensor], sizes: tuple[int, ...]
) -> None:
    latents = draw(1, 4, 16, 2, 2)
    stream = autoencoder.stream()
    blocks = [stream.decode_block(block) for block in latents.split(sizes, dim=1)]
    assert torch.equal(torch.cat(blocks, dim=2), autoencoder.decode(latents))


def test_streams_of_one_vae_do_not_mix(
    autoencoder: VideoAutoencoder, draw: Callable[..., torch.Tensor]
) -> None:
    one, two = draw(1, 4, 16, 2, 2), draw(1, 4, 16, 2, 2, seed=1)
    streams = autoencoder.stream(), autoencoder.stream()
    found: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for index in range(2):
        for stream, latents, blocks in zip(streams, (one, two), found, strict=True):
            blocks.append(stream.decode_block(latents[:, 2 * index : 2 * index + 2]))
        decode_by_diffusers(autoencoder, two)  # diffusers' own decode clears its own cache
        autoencoder.encode(torch.zeros(1, 3, 5, 16, 16))
    assert torch.equal(torch.cat(found[0], dim=2), autoencoder.decode(one))
    assert torch.equal(torch.cat(found[1], dim=2), autoencoder.decode(two))
    streams[0].reset()
    assert torch.equal(streams[0].decode_block(one), autoencoder.decode(one))


def test_memory_does_not_grow(
    autoencoder: VideoAutoencoder, draw: Callable[..., torch.Tensor]
) -> None:
    history, kept = History(), []
    for frame in autoencoder.denormalise(draw(1, 6, 16, 2, 2))[0].unbind(dim=1):
        with torch.no_grad():
            autoencoder.decoder(frame, history)
        storages = {
            f.untyped_storage().data_ptr(): f.untyped_storage() for f in history.frames.values()
        }
        kept.append(sum(storage.nbytes() for storage in storages.values()))
    assert kept[1] > 0
    assert len(set(kept[1:])) == 1  # the convolutions in time have no past before the second frame


@torch.no_grad()
def test_encoding_is_the_normalised_mean(
    autoencoder: VideoAutoencoder, draw: Callable[..., torch.Tensor]
) -> None:
    video = draw(2, 3, 9, 16, 24).clamp(-1, 1)
    found = autoencoder.encode(video)
    assert (found.shape, found.dtype) == ((2, 3, 16, 2, 3), torch.float32)
    config = autoencoder.vae.config
    mean, std = torch.tensor(config.latents_mean), torch.tensor(config.latents_std)
    raw = autoencoder.vae.encode(video).latent_dist.mode().movedim(1, -1)
    torch.testing.assert_close(found.movedim(2, -1), (raw - mean) / std, rtol=1e-5, atol=1e-5)
    # Causal: the first frame alone gives the first latent frame.
    torch.testing.assert_close(autoencoder.encode(video[:, :, :1]), found[:, :1])


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 3, 8, 16, 16), "8 frames do not encode: give 4 k \\+ 1 of them, 5 or 9"),
        ((1, 3, 0, 16, 16), "0 frames do not encode"),
        ((1, 3, 5, 20, 16), "16 x 20 px do not encode: both must be multiples of 8"),
        ((3, 5, 16, 16), r"must be \[B, 3, T, H, W\]"),
    ],
)
def test_what_cannot_be_encoded_is_named(
    autoencoder: VideoAutoencoder, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        autoencoder.encode(torch.zeros(shape))


def test_a_block_that_cannot_follow_is_named(autoencoder: VideoAutoencoder) -> None:
    stream = autoencoder.stream()
    stream.decode_block(torch.zeros(1, 1, 16, 2, 2))
    with pytest.raises(UsageError, match=r"\(2, 1, 16, 2, 2\) cannot follow one of \(1, 1, 16, 2"):
        stream.decode_block(torch.zeros(2, 1, 16, 2, 2))
    for shape in ((1, 0, 16, 2, 2), (1, 16, 1, 2, 2), (1, 16, 2, 2)):
        with pytest.raises(UsageError, match=r"they must be \[B, F >= 1, 16, h, w\]"):
            stream.decode_block(torch.zeros(shape))


def test_pictures_and_back() -> None:
    frames = np.arange(2 * 4 * 8 * 3, dtype=np.uint8).reshape(2, 4, 8, 3)
    video = from_uint8(frames)
    assert video.shape == (1, 3, 2, 4, 8)
    assert video.min() == -1.0
    assert np.array_equal(np.stack([to_uint8(f) for f in video[0].unbind(dim=1)]), frames)
    with pytest.raises(UsageError, match=r"float32 of shape .*must be uint8 \(T, H, W, 3\)"):
        from_uint8(frames.astype(np.float32))


def test_a_folder_without_a_vae_is_named(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=r"no VAE at .*needs config\.json"):
        load_autoencoder(tmp_path)
