"""Reward Forcing, distilled from Wan2.1-14B into 1.3B; not in the paper's table."""

from baselines.spec import ModelSpec, Setting, Trained
from baselines.wan_family import (
    LONG,
    SHORT,
    block_frames,
    latent_length,
    release_weights,
)
from hiar.weights.releases import FPS, HEIGHT_PX, WIDTH_PX

_REPOSITORY = "Reward-Forcing 4317f5a"
_CONFIG = f"{_REPOSITORY} configs/reward_forcing.yaml"

SPEC = ModelSpec(
    key="reward-forcing",
    label="Reward Forcing",
    kind="distilled",
    how="hiar engine",
    entry="hiar, order block_first",
    weights=release_weights("reward-forcing"),
    licence="code Apache-2.0; weights: unconfirmed",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(SHORT, LONG, latent_length(120)),
    settings=(
        Setting(
            name="denoising_step_list", value="1000, 750, 500, 250", source=_CONFIG, use="fact"
        ),
        Setting(
            name="local_attn_size, sink_size",
            value="9 latent frames, the sink of 3 among them",
            source=_CONFIG,
            use="fact",
        ),
        Setting(
            name="compression_alpha",
            value=0.999,
            source=f"{_REPOSITORY} wan/modules/causal_model.py",
            use="fact",
        ),
    ),
    trained=Trained(
        num_frames=81,
        source=f"{_REPOSITORY} configs/default_config.yaml, num_training_frames 21",
    ),
    chunk_frames=block_frames("reward-forcing"),
    release="reward-forcing",
    in_paper=False,
    notes=(
        "In bfloat16, in which the release runs, an average that keeps 0.999 of the sink is mostly "
        "lost to rounding (docs/protocols.md).",
    ),
)
