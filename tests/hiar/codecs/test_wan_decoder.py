"""Wan's decoder: equal to diffusers', and the same for each video whatever is beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import load_file, save_file
from torch.nn import functional

from hiar.codecs.vae import StoredVae, VideoAutoencoder, load_autoencoder
from hiar.codecs.wan_decoder import kernels, layers, winograd
from hiar.codecs.wan_decoder.layers import CausalConv, History
from hiar.codecs.wan_decoder.network import WanDecoder, build_decoder
from hiar.codecs.wan_decoder.staged import split_parts
from hiar.codecs.wan_decoder.upsampling import Upsampler
from hiar.errors import UsageError
from hiar.tiny.preset import VAE_CONFIG, asset

pytestmark = pytest.mark.numerics

CONFIGS: dict[str, dict[str, Any]] = {
    "tiny": VAE_CONFIG,
    # Wan 2.1's own layout (no shortcuts, no patches) at a fraction of its width.
    "wan2.1": {
        "base_dim": 8, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2,
        "temperal_downsample": [False, True, True],
    },
    # Wan 2.2's 5B VAE: an upsampling without new frames deals the channels out to the quarters.
    "wan2.2": {
        "base_dim": 4, "decoder_base_dim": 8, "z_dim": 48, "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2, "temperal_downsample": [False, True, True], "is_residual": True,
        "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16,
        "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=CONFIGS)
def vae(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(**CONFIGS[request.param]).eval()
    for name, parameter in vae.named_parameters():
        if name.endswith("gamma"):  # all ones as it is made
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return vae


@torch.no_grad()
def decode(decoder: WanDecoder, z: torch.Tensor) -> torch.Tensor:
    """Latents [C, F, h, w] to frames [3, T, H, W]."""
    history = History()
    return torch.cat([decoder(frame, history) for frame in z.unbind(dim=1)], dim=1)


@pytest.mark.parametrize("mixed", [False, True])
def test_it_equals_diffusers(
    vae: Any, draw: Callable[..., torch.Tensor], mixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "MIN_ELEMENTS", 1 if mixed else 10**9)
    z = draw(vae.config["z_dim"], 4, 3, 5)
    with torch.no_grad():
        expected = vae.decode(z[None]).sample[0]
    found = decode(build_decoder(vae.config, vae.state_dict(), "test"), z)
    assert found.shape == expected.shape
    assert expected.std() > 0.1
    # A sum of 100 to 1,000 products a layer, in another order: 1e-7 each, over 30 layers.
    assert float((found - expected).norm() / expected.norm()) <= 1e-5
    assert float((found - expected).abs().max()) <= 1e-4  # 1 / 78 of a grey level


@pytest.fixture(scope="module")
def tiny() -> VideoAutoencoder:
    return load_autoencoder(asset("vae"))


def test_a_video_is_the_same_in_every_batch(
    tiny: VideoAutoencoder, draw: Callable[..., torch.Tensor]
) -> None:
    latents = draw(8, 3, 16, 6, 6)  # 48 x 48 px: large enough for every path of the decoder
    assert winograd.pays(torch.empty(6, 24, 24, 24), 4)
    alone = [tiny.decode(video[None]) for video in latents]
    for size in (3, 8):
        together = torch.cat([tiny.decode(batch) for batch in latents.split(size)])
        assert torch.equal(together, torch.cat(alone))
    backwards = tiny.decode(latents.flip(0)).flip(0)
    assert torch.equal(backwards, torch.cat(alone))


@pytest.mark.parametrize("num_stages", [1, 2, 3, 5])
@torch.no_grad()
def test_shares_of_the_parts_make_the_same_frames(
    vae: Any, draw: Callable[..., torch.Tensor], num_stages: int
) -> None:
    """Each share remembers earlier frames of its own, as in a process of its own."""
    decoder = build_decoder(vae.config, vae.state_dict(), "random")
    z = draw(vae.config.z_dim, 4, 4, 6)
    shares = split_parts(decoder.decoder.costs(), num_stages)
    assert len(decoder.decoder.costs()) == len(decoder.decoder.parts())
    histories = [History() for _ in shares]
    frames = []
    for frame in z.unbind(dim=1):
        x = decoder.begin(frame)
        for share, history in zip(shares, histories, strict=True):
            x = decoder.run(x, history, share)
        frames.append(decoder.end(x))
    assert torch.equal(torch.cat(frames, dim=1), decode(decoder, z))


def test_the_largest_share_is_as_small_as_can_be() -> None:
    assert split_parts([1, 1, 1, 3], 2) == [slice(0, 3), slice(3, 4)]
    assert split_parts([3, 1, 1, 1], 3) == [slice(0, 1), slice(1, 2), slice(2, 4)]
    with pytest.raises(UsageError, match="3 decoder ranks: the decoder has 2 parts"):
        split_parts([1, 1], 3)


@pytest.mark.parametrize("num_frames", list(winograd.POINTS))
def test_mixing_is_exact(num_frames: int) -> None:
    """The matrices give the plain convolution in time of any frames and kernel."""
    matrices = winograd.mixing(num_frames)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(num_frames + 2, generator=generator, dtype=torch.float64)
    kernel = torch.randn(3, generator=generator, dtype=torch.float64)
    found = matrices.results @ ((matrices.kernel @ kernel) * (matrices.frames @ frames))
    expected = torch.stack([(frames[t : t + 3] * kernel).sum() for t in range(num_frames)])
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("at_once", [1, 7 * 5 * 3, 7 * 5 * 8, 10**9])
@pytest.mark.parametrize("num_frames", list(winograd.POINTS))
def test_mixed_convolution_of_any_piece(
    num_frames: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "ELEMENTS_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(0)
    buffer = torch.randn(num_frames + 2, 9, 7, 5, generator=generator)
    weight = torch.randn(4, 5, 3, 3, 3, generator=generator)
    bias = torch.randn(4, generator=generator)
    found = winograd.convolve_mixed(buffer, winograd.mixed_kernels(weight, bias, num_frames))
    x = buffer.double().permute(3, 0, 1, 2)[None]
    expected = functional.conv3d(x, weight.double(), bias.double(), padding=(0, 1, 1))
    exact = expected[0].permute(1, 2, 3, 0)
    assert float((found - exact).norm() / exact.norm()) <= 2e-6  # 3 times that of the plain sum


def test_the_first_frame_is_convolved_without_the_zeros_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A third of the work for the same frame: the depths that meet zeros are left out."""
    torch.manual_seed(0)
    conv = CausalConv(6, 5).requires_grad_(False)
    torch.nn.init.normal_(conv.weight)
    torch.nn.init.normal_(conv.bias)
    conv.prepare()
    depths = []
    plain = layers.convolve

    def noted(x: torch.Tensor, weight: torch.Tensor, *more: Any) -> torch.Tensor:
        depths.append(weight.shape[2])
        return plain(x, weight, *more)

    monkeypatch.setattr(layers, "convolve", noted)
    history, video, found = History(), torch.randn(4, 7, 9, 6), []
    for frame in video.split(1):
        buffer, new = conv.room(frame, history)
        new.copy_(frame)
        found.append(conv(buffer, history))
    padded = torch.cat([torch.zeros(2, 7, 9, 6), video]).double().permute(3, 0, 1, 2)[None]
    expected = functional.conv3d(
        padded, conv.weight.double(), conv.bias.double(), padding=(0, 1, 1)
    )
    assert depths == [1, 3, 3, 3]
    torch.testing.assert_close(
        torch.cat(found).double(), expected[0].permute(1, 2, 3, 0), rtol=1e-5, atol=1e-5
    )


def test_one_convolution_of_the_small_picture_is_that_of_the_doubled_one() -> None:
    generator = torch.Generator().manual_seed(0)
    upsampler = Upsampler(5, 4, in_time=False)
    for parameter in upsampler.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    upsampler.prepare()
    x = torch.randn(2, 3, 4, 5, generator=generator)
    conv = upsampler.resample[1]
    doubled = functional.interpolate(x.permute(0, 3, 1, 2), scale_factor=2, mode="nearest-exact")
    expected = functional.conv2d(doubled, conv.weight, conv.bias, padding=1).permute(0, 2, 3, 1)
    torch.testing.assert_close(upsampler(x, History()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activate", [False, True])
@pytest.mark.parametrize("at_once", [1, 25, 10**9])
def test_norm_and_activation(
    dtype: torch.dtype, activate: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 7, 6, generator=generator).to(dtype)
    x[0, 0, 0] = 0  # a pixel without length stays zero
    scale = torch.rand(6, generator=generator)
    unit = functional.normalize(x.double(), dim=-1) * scale.double()
    expected = functional.silu(unit) if activate else unit
    for name in ("ELEMENTS_AT_ONCE", "ELEMENTS_AT_ONCE_SHARED"):
        monkeypatch.setattr(kernels, name, at_once)
    found = kernels.normalise(x, scale, torch.empty_like(x), activate=activate)
    tolerance = 1e-5 if dtype == torch.float32 else 2**-7
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


def test_bfloat16_is_near_float32(draw: Callable[..., torch.Tensor]) -> None:
    wide = load_autoencoder(asset("vae"))
    narrow = load_autoencoder(asset("vae"), torch.bfloat16)
    latents = draw(1, 2, 16, 2, 2)
    expected = wide.decode(latents)
    found = narrow.decode(latents)
    assert found.dtype == torch.bfloat16
    assert 0 < float((found - expected).norm() / expected.norm()) <= 0.05


def test_diffusers_is_loaded_to_encode_only(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = StoredVae(asset("vae"), torch.float32)
    autoencoder = VideoAutoencoder(stored)
    made: list[Any] = []
    load = AutoencoderKLWan.from_pretrained
    monkeypatch.setattr(
        AutoencoderKLWan, "from_pretrained", lambda *a, **k: made.append(load(*a, **k)) or made[0]
    )
    frames = autoencoder.decode(torch.zeros(1, 2, 16, 2, 2))
    assert made == []
    latents = autoencoder.encode(frames)
    again = autoencoder.encode(frames)
    assert len(made) == 1
    assert torch.equal(latents, again)
    assert torch.equal(latents, VideoAutoencoder(made[0]).encode(frames))


def copy_of_the_tiny_vae(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A folder with the shipped VAE, its tensors changed."""
    source = asset("vae")
    tensors = load_file(source / "diffusion_pytorch_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text((source / "config.json").read_text())
    return folder


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("decoder.conv_in.bias"), "decoder.conv_in.bias"),
        (lambda t: t.update({"decoder.more": torch.zeros(1)}), "decoder.more"),
        (lambda t: t.update({"decoder.conv_in.bias": torch.zeros(7)}), "decoder.conv_in.bias"),
        (lambda t: t["decoder.conv_out.bias"].fill_(float("nan")), "decoder.conv_out.bias"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], named: str
) -> None:
    folder = copy_of_the_tiny_vae(tmp_path, change)
    with pytest.raises(UsageError, match=named):
        load_autoencoder(folder)


@pytest.mark.parametrize("broken", ["{", "[]", json.dumps({"z_dim": 16})])
def test_a_config_that_is_none_is_named(tmp_path: Path, broken: str) -> None:
    (tmp_path / "config.json").write_text(broken)
    with pytest.raises(UsageError, match=r"config\.json"):
        load_autoencoder(tmp_path)
