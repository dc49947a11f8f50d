"""LTX-Video 2B, bidirectional."""

from baselines.spec import Length, ModelSpec, Setting, diffusers_layout

_PIPELINE = "diffusers 0.42.1 LTXPipeline defaults"
_REPOSITORY = "LTX-Video 5260738, README and 2B configs"

SPEC = ModelSpec(
    key="ltx-video",
    label="LTX-Video",
    kind="bidirectional",
    how="diffusers pipeline",
    entry="diffusers.LTXPipeline",
    weights=diffusers_layout("Lightricks/LTX-Video"),
    licence="OpenRail-M from 0.9.5 on; earlier files: unconfirmed",
    height_px=512,
    width_px=704,
    fps=24,
    lengths=(Length(num_frames=121, setting="num_frames=121, frame_rate=24"),),
    settings=(
        Setting(name="height, width", value="512, 704; multiples of 32", source=_PIPELINE),
        Setting(name="num_frames", value="8 k + 1; pipeline default 161", source=_PIPELINE),
        Setting(name="frame_rate", value="24 for 5 s; pipeline default 25", source=_PIPELINE),
        Setting(name="num_inference_steps", value="50", source=_PIPELINE),
        Setting(name="guidance_scale", value="3", source=_PIPELINE),
        Setting(name="max_sequence_length", value="128", source=_PIPELINE),
        Setting(name="decode_timestep", value="0.05", source=_REPOSITORY),
        Setting(name="decode_noise_scale", value="0.025", source=_REPOSITORY),
    ),
    notes=(
        "The paper does not say which version it ran, and the repository's root weights move: "
        "pin a revision and say which.",
        "The official 2B configs use 40 steps and a second guidance (STG 1) that LTXPipeline "
        "does not have.",
    ),
)
