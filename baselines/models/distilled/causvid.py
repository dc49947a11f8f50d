"""CausVid, the 4-step autoregressive checkpoint, distilled from Wan2.1-1.3B."""

from baselines.spec import Length, ModelSpec, Setting
from baselines.wan_family import SHORT, block_frames, release_weights
from hiar.weights.releases import FPS, HEIGHT_PX, WIDTH_PX

_CONFIG = "CausVid ca21150 configs/wan_causal_dmd_warp_4step_cfg2.yaml"
_LONG = "CausVid ca21150 minimal_inference/longvideo_autoregressive_inference.py"

SPEC = ModelSpec(
    key="causvid",
    label="CausVid",
    kind="distilled",
    how="hiar engine",
    entry="hiar, order block_first",
    weights=release_weights("causvid"),
    licence="CC BY-NC-SA 4.0",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(
        SHORT,
        Length(num_frames=321, made_frames=360, arguments={"windows": 5}),
    ),
    settings=(
        Setting(
            name="checkpoint", value="4-step, warped", source="Causal-Forcing issue 18", use="fact"
        ),
        Setting(
            name="denoising_step_list", value="1000, 750, 500, 250", source=_CONFIG, use="fact"
        ),
        Setting(name="num_rollout, num_overlap_frames", value="5, 3", source=_LONG, use="fact"),
    ),
    chunk_frames=block_frames("causvid"),
    release="causvid",
    overlap=3,
    notes=(
        "Past 21 latent frames each window starts at rotary position 0, with 3 latent frames of "
        "context: the decoded frame 9 before the end, encoded again, and the last 2 latent frames. "
        "A window's last 9 frames are those that the next one makes again.",
        "Self-Forcing's and Causal Forcing's comparisons use this 4-step checkpoint, not the "
        "3-step one (1000, 757, 522, not warped).",
    ),
)
