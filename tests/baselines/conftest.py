"""Tiny pipelines of the real classes, saved as a user would, and a reader of mp4 files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "blue", "disc", "ring"]
TEXT_DIM = 16
WAN_VAE = {
    "base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def weights_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A weights folder of the test module's own, which is empty."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIAR_WEIGHTS", str(folder))
        patch.setenv("HIAR_ENVIRONMENTS", str(folder / "environments"))
        yield folder


@pytest.fixture(scope="session")
def read_video() -> Callable[[Path], NDArray[np.uint8]]:
    """All frames of a video file, (T, H, W, 3)."""

    def read(path: Path) -> NDArray[np.uint8]:
        with av.open(str(path)) as container:
            return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])

    return read


def make_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def make_text_encoder(kind: str) -> Any:
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(WORDS), d_model=TEXT_DIM, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return getattr(transformers, f"{kind}EncoderModel")(config)


@pytest.fixture(scope="session")
def wan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WanPipeline with random weights."""
    import diffusers

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("pipelines") / "wan"
    diffusers.WanPipeline(
        tokenizer=make_tokenizer(),
        text_encoder=make_text_encoder("UMT5"),
        vae=diffusers.AutoencoderKLWan(**WAN_VAE),
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=diffusers.WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, text_dim=TEXT_DIM, freq_dim=16,
            ffn_dim=32, num_layers=1, rope_max_seq_len=32,
        ),
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def skyreels_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SkyReelsV2DiffusionForcingPipeline with random weights."""
    import diffusers

    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("pipelines") / "skyreels"
    diffusers.SkyReelsV2DiffusionForcingPipeline(
        tokenizer=make_tokenizer(),
        text_encoder=make_text_encoder("UMT5"),
        vae=diffusers.AutoencoderKLWan(**WAN_VAE),
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=diffusers.SkyReelsV2Transformer3DModel(
            num_attention_heads=2, attention_head_dim=12, text_dim=TEXT_DIM, freq_dim=16,
            ffn_dim=32, num_layers=1, rope_max_seq_len=32, inject_sample_info=True,
        ),
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def ltx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LTXPipeline with random weights, its VAE conditioned on the decoding timestep."""
    import diffusers

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("pipelines") / "ltx"
    diffusers.LTXPipeline(
        tokenizer=make_tokenizer(),
        text_encoder=make_text_encoder("T5"),
        vae=diffusers.AutoencoderKLLTXVideo(
            latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8,) * 4,
            layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 5,
            spatio_temporal_scaling=(True, True, True, False),
            decoder_spatio_temporal_scaling=(True, True, True, False),
            decoder_inject_noise=(False,) * 5, timestep_conditioning=True,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        transformer=diffusers.LTXVideoTransformer3DModel(
            in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=8,
            cross_attention_dim=16, num_layers=1, caption_channels=TEXT_DIM,
        ),
    ).save_pretrained(folder)  # fmt: skip
    return folder
