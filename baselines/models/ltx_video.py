"""LTX-Video 2B, bidirectional."""

from baselines.spec import Length, ModelSpec, Setting, diffusers_layout

_PIPELINE = "diffusers 0.42.1 LTXPipeline defaults"
_CONFIG = "LTX-Video 5260738 configs/ltxv-2b-0.9.6-dev.yaml"
_INFERENCE = "LTX-Video 5260738 ltx_video/inference.py"
_OURS = "ours: 121 frames are then 5 s; pipeline default 25"

SPEC = ModelSpec(
    key="ltx-video",
    label="LTX-Video",
    kind="bidirectional",
    how="diffusers pipeline",
    entry="diffusers.LTXPipeline",
    weights=diffusers_layout("Lightricks/LTX-Video", "8984fa25007f376c1a299016d0957a37a2f797bb"),
    licence="OpenRail-M from 0.9.5 on; earlier files: unconfirmed",
    height_px=512,
    width_px=704,
    fps=24,
    lengths=(Length(num_frames=121, arguments={"num_frames": 121}),),
    settings=(
        Setting(name="height, width", value="512, 704", source=_PIPELINE, use="fact"),
        Setting(name="frame_rate", value=24, source=_OURS),
        Setting(name="num_inference_steps", value=50, source=_PIPELINE),
        Setting(name="guidance_scale", value=3.0, source=_PIPELINE),
        Setting(name="max_sequence_length", value=128, source=_PIPELINE),
        Setting(name="decode_timestep", value=0.05, source=_CONFIG),
        Setting(name="decode_noise_scale", value=0.025, source=_CONFIG),
        Setting(
            name="negative_prompt",
            value="worst quality, inconsistent motion, blurry, jittery, distorted",
            source=_INFERENCE,
        ),
    ),
    notes=(
        "The paper does not say which version it ran, and the repository's root weights move: "
        "one revision is pinned, and each result holds the sha256 of what was run.",
        "The official 2B configs use 40 steps and a second guidance (STG 1) that LTXPipeline "
        "does not have.",
    ),
)
