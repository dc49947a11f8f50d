"""Self-Forcing (DMD), distilled from Wan2.1-1.3B."""

from baselines.spec import ModelSpec, ReleasedCode, Setting, Trained
from baselines.wan_family import LONG, SHORT, block_frames, release_environment, release_weights
from hiar.weights.releases import FPS, HEIGHT_PX, WIDTH_PX

_CONFIG = "Self-Forcing 33593df configs/self_forcing_dmd.yaml"

SPEC = ModelSpec(
    key="self-forcing",
    label="Self-Forcing",
    kind="distilled",
    how="hiar engine",
    entry="hiar, order block_first",
    weights=release_weights("self-forcing"),
    licence="code Apache-2.0; weights CC BY-NC-SA 4.0",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(SHORT, LONG),
    settings=(
        Setting(
            name="denoising_step_list", value="1000, 750, 500, 250", source=_CONFIG, use="fact"
        ),
        Setting(
            name="long videos",
            value="frame_first, 81 latent frames, window 21",
            source="HiAR da267d3 scripts/run_comparison.sh",
            use="fact",
        ),
    ),
    trained=Trained(
        num_frames=81,
        source="Self-Forcing 33593df, 21 latent frames; its issue 39",
    ),
    chunk_frames=block_frames("self-forcing"),
    release="self-forcing",
    code=ReleasedCode(
        environment=release_environment(
            "https://github.com/guandeh17/Self-Forcing",
            "33593df3e81fa3ec10239271dd2c100facac6de1",
            "Self-Forcing 33593df README and requirements.txt",
        ),
        config="configs/self_forcing_dmd.yaml",
        method="inference",
    ),
    notes=(
        "Its authors support 81 frames with this checkpoint; 20 s with a rolling window is the "
        "HiAR release's baseline.",
    ),
)
