"""HiAR, distilled from Wan2.1-1.3B."""

from baselines.spec import Distilled, ModelSpec, Setting, WeightFile
from baselines.wan_family import FPS, HEIGHT_PX, LONG, SHORT, TEXT_AND_VAE, WIDTH_PX

_CONFIG = "HiAR da267d3 configs/hiar.yaml"

SPEC = ModelSpec(
    key="hiar",
    label="HiAR",
    kind="distilled",
    how="hiar engine",
    entry="hiar, order step_first or diagonal",
    weights=(WeightFile(repo="jackyhate/HiAR", path="hiar.pt"), *TEXT_AND_VAE),
    licence="code Apache-2.0; weights: unconfirmed",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(SHORT, LONG),
    settings=(
        Setting(name="denoising_step_list", value="1000, 750, 500, 250", source=_CONFIG),
        Setting(
            name="inference_method",
            value="timestep_first, 81 latent frames",
            source="HiAR da267d3 README",
        ),
    ),
    distilled=Distilled(
        order="step_first",
        context="output",
        state_dict_keys=("generator_ema", "generator"),
        source=_CONFIG,
    ),
    notes=(
        "8 forward passes a block against Self-Forcing's 5: faster only when its stages run "
        "side by side.",
    ),
)
