"""Causal Forcing, frame-wise with 4 steps; not in the paper's table."""

from baselines.spec import ModelSpec, Setting, Trained
from baselines.wan_family import LONG, SHORT, block_frames, release_weights
from hiar.weights.releases import FPS, HEIGHT_PX, WIDTH_PX

_CONFIG = "Causal-Forcing 1fc7bbc configs/causal_forcing_dmd_framewise.yaml"

SPEC = ModelSpec(
    key="causal-forcing-framewise",
    label="Causal Forcing, frame-wise",
    kind="distilled",
    how="hiar engine",
    entry="hiar, order block_first, 1 latent frame a block",
    weights=release_weights("causal-forcing-framewise"),
    licence="code Apache-2.0; weights: unconfirmed",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(SHORT, LONG),
    settings=(
        Setting(
            name="denoising_step_list", value="1000, 750, 500, 250", source=_CONFIG, use="fact"
        ),
        Setting(name="num_frame_per_block", value=1, source=_CONFIG, use="fact"),
    ),
    trained=Trained(num_frames=81, source="Causal-Forcing 1fc7bbc README: the 5-second model"),
    chunk_frames=block_frames("causal-forcing-framewise"),
    release="causal-forcing-framewise",
    in_paper=False,
    notes=(
        "Its 2-step and 1-step successors (causal-forcing++/) give the first block a step list of "
        "its own, which the sampler does not have: they are not offered.",
    ),
)
