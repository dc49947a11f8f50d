"""Pyramid Flow, 384p, autoregressive."""

from baselines.spec import Length, ModelSpec, Setting
from hiar.releases import WeightFile

_README = "Pyramid-Flow 3040d71 README"

SPEC = ModelSpec(
    key="pyramid-flow",
    label="Pyramid Flow",
    kind="autoregressive",
    how="external command",
    entry="PyramidDiTForVideoGeneration (github.com/jy0205/Pyramid-Flow)",
    weights=(
        WeightFile(
            repo="rain1011/pyramid-flow-sd3", path="", present="diffusion_transformer_384p/*"
        ),
    ),
    licence="code MIT; weights under the SD3 licence: unconfirmed",
    height_px=384,
    width_px=640,
    fps=24,
    lengths=(Length(num_frames=121, setting="temp=16"),),
    settings=(
        Setting(name="model_name", value="pyramid_mmdit", source=_README),
        Setting(name="model_variant", value="diffusion_transformer_384p", source=_README),
        Setting(name="model_dtype", value="bf16", source=_README),
        Setting(name="num_inference_steps", value="20, 20, 20", source=_README),
        Setting(name="video_num_inference_steps", value="10, 10, 10", source=_README),
        Setting(name="guidance_scale", value="7.0", source=_README),
        Setting(name="video_guidance_scale", value="5.0", source=_README),
    ),
    notes=(
        "The 768p variant reaches 10 s at most (temp=31, 768 x 1280); 20 s is unsupported.",
        "That the paper ran the SD3 weights and not rain1011/pyramid-flow-miniflux "
        "(model_name pyramid_flux) is unconfirmed.",
    ),
)
