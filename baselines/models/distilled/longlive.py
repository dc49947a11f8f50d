"""LongLive 1.0, distilled from Wan2.1-1.3B for long videos; not in the paper's table."""

from baselines.spec import ModelSpec, Setting, Trained
from baselines.wan_family import (
    LONG,
    SHORT,
    block_frames,
    latent_length,
    release_weights,
)
from hiar.weights.releases import FPS, HEIGHT_PX, WIDTH_PX

_CONFIG = "LongLive v1.0 configs/longlive_inference.yaml"

SPEC = ModelSpec(
    key="longlive",
    label="LongLive 1.0",
    kind="distilled",
    how="hiar engine",
    entry="hiar, order block_first",
    weights=release_weights("longlive"),
    licence="Apache-2.0, its README says; the card of the weights was not seen",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(SHORT, LONG, latent_length(120), latent_length(240)),
    settings=(
        Setting(
            name="denoising_step_list", value="1000, 750, 500, 250", source=_CONFIG, use="fact"
        ),
        Setting(
            name="local_attn_size, sink_size",
            value="12 latent frames, the sink of 3 among them",
            source=_CONFIG,
            use="fact",
        ),
        Setting(name="LoRA", value="rank 256, alpha 256, merged", source=_CONFIG, use="fact"),
    ),
    trained=Trained(
        num_frames=957,
        source="LongLive v1.0 e52d9ef configs/longlive_train_long.yaml, streaming_max_length 240",
    ),
    chunk_frames=block_frames("longlive"),
    release="longlive",
    in_paper=False,
    notes=(
        "The first 3 latent frames stay visible for ever, at their own rotary positions.",
        "A user's folder must hold the weights with the LoRA merged.",
    ),
)
