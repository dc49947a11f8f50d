"""HiAR, distilled from Wan2.1-1.3B."""

from baselines.spec import ModelSpec, ReleasedCode, Setting, Trained
from baselines.wan_family import LONG, SHORT, block_frames, release_environment, release_weights
from hiar.weights.releases import FPS, HEIGHT_PX, WIDTH_PX

_CONFIG = "HiAR da267d3 configs/hiar.yaml"

SPEC = ModelSpec(
    key="hiar",
    label="HiAR",
    kind="distilled",
    how="hiar engine",
    entry="hiar, order step_first or diagonal",
    weights=release_weights("hiar"),
    licence="code Apache-2.0; weights: unconfirmed",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(SHORT, LONG),
    settings=(
        Setting(
            name="denoising_step_list", value="1000, 750, 500, 250", source=_CONFIG, use="fact"
        ),
        Setting(
            name="inference_method",
            value="timestep_first, 81 latent frames",
            source="HiAR da267d3 README",
            use="fact",
        ),
    ),
    trained=Trained(num_frames=81, source="arXiv 2603.08703, Sec. 4.1: 5-second clips"),
    chunk_frames=block_frames("hiar"),
    release="hiar",
    code=ReleasedCode(
        environment=release_environment(
            "https://github.com/Jacky-hate/HiAR",
            "da267d360e60ef6f3be6df42a9474f6166447529",
            "HiAR da267d3 README and requirements.txt",
        ),
        config="configs/hiar.yaml",
        method="inference_hybrid",
        arguments={"frame_first_steps": 0},
    ),
    notes=(
        "8 forward passes a block against Self-Forcing's 5: faster only when its stages run "
        "side by side.",
    ),
)
