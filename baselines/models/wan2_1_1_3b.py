"""Wan2.1-T2V-1.3B, bidirectional: the base of the distilled models."""

from baselines.spec import Length, ModelSpec, Setting, diffusers_layout
from hiar.weights.releases import FPS, HEIGHT_PX, NEGATIVE_PROMPT, WAN_REPO, WAN_REVISION, WIDTH_PX

_README = "Wan2.1 9737cba README, 1.3B"
_GENERATE = "Wan2.1 9737cba generate.py defaults"

SPEC = ModelSpec(
    key="wan2.1-1.3b",
    label="Wan2.1-1.3B",
    kind="bidirectional",
    how="diffusers pipeline",
    entry="diffusers.WanPipeline",
    weights=diffusers_layout(WAN_REPO, WAN_REVISION),
    licence="Apache-2.0",
    height_px=HEIGHT_PX,
    width_px=WIDTH_PX,
    fps=FPS,
    lengths=(Length(num_frames=81, arguments={"num_frames": 81}),),
    settings=(
        Setting(name="height, width", value="480, 832", source=_README, use="fact"),
        Setting(name="num_inference_steps", value=50, source=_GENERATE),
        Setting(name="guidance_scale", value=6.0, source=_README),
        Setting(name="max_sequence_length", value=512, source="Wan2.1 9737cba config, text_len"),
        Setting(name="flow_shift", value=8.0, source=f"{_README} (8 to 12)", use="scheduler"),
        Setting(
            name="negative_prompt",
            value=NEGATIVE_PROMPT,
            source="Wan2.1 9737cba wan/configs/shared_config.py",
        ),
        Setting(
            name="vae dtype",
            value="float32, whatever the rest has",
            source="diffusers 0.42.1 docs",
            use="fact",
        ),
    ),
    notes=(
        "generate.py defaults to shift 5 and guidance 5, diffusers' docs to flow_shift 3 at "
        "480p: say which was used.",
    ),
)
