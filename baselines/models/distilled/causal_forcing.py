"""Causal Forcing, chunk-wise, distilled from Wan2.1-1.3B."""

from baselines.spec import ModelSpec, Setting, Trained
from baselines.wan_family import LONG, SHORT, block_frames, release_weights
from hiar.weights.releases import FPS, HEIGHT_PX, WIDTH_PX

_CONFIG = "Causal-Forcing 1fc7bbc configs/causal_forcing_dmd_chunkwise.yaml"

SPEC = ModelSpec(
    key="causal-forcing",
    label="Causal Forcing",
    kind="distilled",
    how="hiar engine",
    entry="hiar, order block_first",
    weights=release_weights("causal-forcing"),
    licence="code Apache-2.0; weights: unconfirmed",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(SHORT, LONG),
    settings=(
        Setting(
            name="denoising_step_list", value="1000, 750, 500, 250", source=_CONFIG, use="fact"
        ),
    ),
    trained=Trained(num_frames=81, source="Causal-Forcing 1fc7bbc README: the 5-second model"),
    chunk_frames=block_frames("causal-forcing"),
    release="causal-forcing",
    notes=(
        "Its README calls this 5 s checkpoint an unfair long-video baseline and points to "
        "chunkwise/longvideo.pt, which needs the Rolling-Forcing loop.",
    ),
)
