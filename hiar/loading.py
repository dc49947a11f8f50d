"""A model by its name: the one that ships, a published release, or a folder on this disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hiar.codecs.text import load_text_encoder, load_tokenizer
from hiar.codecs.text_cache import CachedTextEncoder
from hiar.codecs.tiny_decoder import load_tiny_decoder
from hiar.codecs.vae import VideoAutoencoder, load_autoencoder
from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.sampling.config import SamplerConfig
from hiar.tiny.preset import asset, byte_tokenizer
from hiar.tiny.world import FPS, SIZE_PX
from hiar.weights.checkpoint import load_release, load_transformer
from hiar.weights.local import require, require_release, weights_folder
from hiar.weights.records import weights_sha256
from hiar.weights.releases import (
    DEFAULT_SAMPLER,
    HEIGHT_PX,
    RELEASES,
    TINY_DECODER,
    VAE,
    WIDTH_PX,
    find_release,
)
from hiar.weights.releases import FPS as RELEASE_FPS

if TYPE_CHECKING:
    from hiar.codecs.text import PromptEncoder
    from hiar.codecs.tiny_decoder import TinyDecoder
    from hiar.model.transformer import CausalWan

TINY = "tiny"
TINY_WEIGHTS = {
    "text_encoder": ("text_encoder", "model.safetensors"),
    "transformer": ("transformer", "diffusion_pytorch_model.safetensors"),
    "vae": ("vae", "diffusion_pytorch_model.safetensors"),
}
EMBEDDINGS = ".text-embeddings"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """All that a pipeline is made of.

    Attributes:
        transformer, text_encoder, autoencoder: The networks.
        name: Name of the model, for results.
        size_px: (height, width) of its videos.
        fps: Frames a second.
        weights: SHA-256 of each part's weights, for results.
        sampler: Settings it is meant to be sampled with.
        decoder: Decoder to use in place of the autoencoder's, if one was asked for.
    """

    transformer: CausalWan
    text_encoder: PromptEncoder
    autoencoder: VideoAutoencoder
    name: str
    size_px: tuple[int, int]
    fps: int
    weights: dict[str, str]
    sampler: SamplerConfig
    decoder: TinyDecoder | None = None


def load_parts(
    name_or_path: str | Path,
    *,
    transformer: Path | None,
    dtype: torch.dtype,
    device: torch.device | str,
    decoder: str | Path = VAE,
) -> Parts:
    """Load a model.

    Args:
        name_or_path: `tiny`, a release's name, or a folder in diffusers' layout.
        transformer: Other transformer weights of the same sizes.
        dtype: Dtype of the transformer; the VAE stays float32.
        device: Where the networks go.
        decoder: `vae`, `tiny-decoder`, or the file of the latter's weights.

    Raises:
        UsageError: For an unknown name, or weights that are missing or do not fit.
    """
    if str(decoder) == VAE:
        return _load_model(str(name_or_path), transformer, dtype, device)
    path = require(TINY_DECODER) if str(decoder) == TINY_DECODER else Path(decoder)
    small = load_tiny_decoder(path, device=device)  # a wrong file is named before the rest loads
    parts = _load_model(str(name_or_path), transformer, dtype, device)
    return replace(parts, decoder=small, weights=parts.weights | {"decoder": weights_sha256(path)})


def _load_model(
    name: str, transformer: Path | None, dtype: torch.dtype, device: torch.device | str
) -> Parts:
    if name == TINY:
        return _load_tiny(transformer, dtype, device)
    if any(release.key == name for release in RELEASES):
        return _load_named(name, transformer, dtype, device)
    if Path(name).is_dir():
        return _load_folder(Path(name), transformer, dtype, device)
    known = ", ".join([TINY, *(release.key for release in RELEASES)])
    raise UsageError(
        f"model {name!r} is unknown: use {known}, or a folder with transformer/, text_encoder/, "
        "tokenizer/ and vae/"
    )


def _load_tiny(transformer: Path | None, dtype: torch.dtype, device: torch.device | str) -> Parts:
    files = {part: asset(*place) for part, place in TINY_WEIGHTS.items()}
    if transformer is not None:
        files["transformer"] = transformer
    config = WanConfig.tiny()
    return Parts(
        transformer=load_transformer(files["transformer"], config, device=device, dtype=dtype),
        text_encoder=load_text_encoder(
            files["text_encoder"].parent, config.text_len, byte_tokenizer(), device=device
        ),
        autoencoder=load_autoencoder(files["vae"].parent).to(device),
        name=TINY,
        size_px=(SIZE_PX, SIZE_PX),
        fps=FPS,
        weights={part: weights_sha256(path) for part, path in files.items()},
        sampler=DEFAULT_SAMPLER,
    )


def _load_named(
    key: str, transformer: Path | None, dtype: torch.dtype, device: torch.device | str
) -> Parts:
    release, files = find_release(key), require_release(key)
    if transformer is None:
        model = load_release(key, device=device, dtype=dtype)
    else:
        model = load_transformer(transformer, release.config, device=device, dtype=dtype)
    weights = {
        "transformer": transformer or files.transformer,
        **({"lora": files.lora} if files.lora and transformer is None else {}),
        "text_encoder": files.text_encoder,
        "vae": files.vae,
    }
    return Parts(
        transformer=model,
        text_encoder=_cached_encoder(
            files.text_encoder, files.tokenizer, release.config.text_len, device
        ),
        autoencoder=load_autoencoder(files.vae).to(device),
        name=key,
        size_px=(HEIGHT_PX, WIDTH_PX),
        fps=RELEASE_FPS,
        weights={part: weights_sha256(path) for part, path in weights.items()},
        sampler=release.sampler,
    )


def _load_folder(
    folder: Path, transformer: Path | None, dtype: torch.dtype, device: torch.device | str
) -> Parts:
    config = read_wan_config(folder / "transformer" / "config.json")
    weights = {
        "transformer": transformer or folder / "transformer",
        "text_encoder": folder / "text_encoder",
        "vae": folder / "vae",
    }
    return Parts(
        transformer=load_transformer(weights["transformer"], config, device=device, dtype=dtype),
        text_encoder=_cached_encoder(
            weights["text_encoder"], folder / "tokenizer", config.text_len, device
        ),
        autoencoder=load_autoencoder(weights["vae"]).to(device),
        name=folder.resolve().name,
        size_px=(HEIGHT_PX, WIDTH_PX),
        fps=RELEASE_FPS,
        weights={part: weights_sha256(path) for part, path in weights.items()},
        sampler=DEFAULT_SAMPLER,
    )


def read_wan_config(path: Path) -> WanConfig:
    """Sizes from a diffusers `WanTransformer3DModel` config.

    Raises:
        UsageError: If there is none, or it is of a model that `CausalWan` is not.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        sizes = {
            "dim": found["num_attention_heads"] * found["attention_head_dim"],
            "num_heads": found["num_attention_heads"],
            "patch_size": tuple(found["patch_size"]),
        }
        same = ("ffn_dim", "num_layers", "freq_dim", "text_dim", "in_channels", "out_channels")
        sizes |= {name: found[name] for name in (*same, "eps")}
    except FileNotFoundError:
        raise UsageError(f"no config {path}: a model folder needs diffusers' layout") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no config of a Wan transformer: {error!r}") from None
    if found.get("image_dim") is not None:
        raise UsageError(f"{path}: image_dim {found['image_dim']}: only text-to-video models run")
    return WanConfig(**sizes)


def _cached_encoder(
    folder: Path, tokenizer: Path, text_len: int, device: torch.device | str
) -> CachedTextEncoder:
    """UMT5 in bfloat16, as the release runs it; loaded only for prompts not seen before."""
    parts = f"{weights_sha256(folder)} {weights_sha256(tokenizer)}"
    return CachedTextEncoder(
        lambda: load_text_encoder(
            folder, text_len, load_tokenizer(tokenizer), device=device, dtype=torch.bfloat16
        ),
        weights_folder() / EMBEDDINGS,
        identity=hashlib.sha256(parts.encode()).hexdigest(),
        text_len=text_len,
        dtype=torch.bfloat16,
    )
