"""Infinity-RoPE: Causal Forcing's weights, not trained further, under another cache rule."""

from dataclasses import replace

from baselines.models.distilled import causal_forcing
from baselines.spec import Setting
from baselines.wan_family import latent_length, release_weights

_REPOSITORY = "Infinity-RoPE 63d7b84"

SPEC = replace(
    causal_forcing.SPEC,
    key="infinity-rope",
    label="Infinity-RoPE on Causal Forcing",
    weights=release_weights("infinity-rope"),
    lengths=(*causal_forcing.SPEC.lengths, latent_length(120), latent_length(240)),
    settings=(
        Setting(
            name="local_attn_size, sink_size",
            value="6 latent frames, the sink of 1 among them",
            source=f"{_REPOSITORY} configs/self_forcing_dmd.yaml",
            use="fact",
        ),
        Setting(
            name="checkpoint_path",
            value="chunkwise/causal_forcing.pt, without --use_ema",
            source=f"{_REPOSITORY} inference_causal_forcing.sh",
            use="fact",
        ),
    ),
    release="infinity-rope",
    in_paper=False,
    notes=(
        "One prompt a video. Its flush of the cache and its jump in rotary phase, both for prompts "
        "that change, do not run here.",
        "Its other checkpoint, SOTAMak1r/Infinite-Forcing, was trained with a sink; it is not "
        "wired.",
    ),
)
