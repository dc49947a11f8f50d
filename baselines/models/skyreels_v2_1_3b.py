"""SkyReels-V2-DF-1.3B-540P, autoregressive by diffusion forcing."""

from baselines.spec import Length, ModelSpec, Setting, diffusers_layout
from hiar.weights.releases import NEGATIVE_PROMPT

_README = "SkyReels-V2 abed76f README"
_SCRIPT = "SkyReels-V2 abed76f generate_video_df.py"
_PIPELINE = "diffusers 0.42.1 SkyReelsV2DiffusionForcingPipeline"


def _window_length(num_frames: int, windows: int) -> Length:
    """Length of several windows: 97 frames, then 80 for each window (README, long videos)."""
    made = 97 + 80 * (windows - 1)
    return Length(
        num_frames=num_frames,
        made_frames=made,
        arguments={"num_frames": made, "overlap_history": 17, "addnoise_condition": 20},
    )


SPEC = ModelSpec(
    key="skyreels-v2-1.3b",
    label="SkyReels-V2-1.3B",
    kind="autoregressive",
    how="diffusers pipeline",
    entry="diffusers.SkyReelsV2DiffusionForcingPipeline",
    weights=diffusers_layout("Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers"),
    licence="Skywork licence",
    height_px=544,
    width_px=960,
    fps=24,
    lengths=(
        Length(num_frames=97, arguments={"num_frames": 97}),
        _window_length(241, 3),
        _window_length(481, 6),
        _window_length(721, 9),
        _window_length(1441, 18),
    ),
    settings=(
        Setting(name="height, width", value="544, 960", source=_SCRIPT, use="fact"),
        Setting(name="num_inference_steps", value=50, source=f"{_README}, table of parameters"),
        Setting(name="guidance_scale", value=6.0, source=_SCRIPT),
        Setting(name="max_sequence_length", value=512, source=_PIPELINE),
        Setting(name="flow_shift", value=8.0, source=_SCRIPT, use="scheduler"),
        Setting(name="base_num_frames", value=97, source=_README),
        Setting(name="ar_step", value=0, source=f"{_README}, synchronous"),
        Setting(name="fps", value=24, source=_SCRIPT),
        Setting(name="negative_prompt", value=NEGATIVE_PROMPT, source=_SCRIPT),
        Setting(
            name="vae dtype",
            value="float32, whatever the rest has",
            source="diffusers 0.42.1 docs",
            use="fact",
        ),
    ),
    chunk_frames=80,
    notes=(
        "497 frames, cut to 481, follow from the pipeline's arithmetic, 97 + 5 x 80; its README "
        "names 257, 737 and 1457 frames for 10, 30 and 60 s.",
        "The README's table has 50 steps, the script's default and diffusers' example have 30.",
        "A chunk is a window: 80 new frames after a history of 17.",
    ),
)
