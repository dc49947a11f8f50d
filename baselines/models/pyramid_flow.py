"""Pyramid Flow, 384p, autoregressive."""

from baselines.spec import Command, Environment, Length, ModelSpec, Setting
from hiar.weights.releases import WeightFile

_REPO = "rain1011/pyramid-flow-sd3"
_README = "Pyramid-Flow 3040d71 README"
_FOLDERS = (
    "diffusion_transformer_384p/",
    "causal_video_vae/",
    "text_encoder/",
    "text_encoder_2/",
    "text_encoder_3/",
    "tokenizer/",
    "tokenizer_2/",
    "tokenizer_3/",
)
"""Folders the SD3 model reads (3040d71 pyramid_dit, modeling_text_encoder.py and the pipeline)."""


def _length(temp: int) -> Length:
    """Length of a video: the first latent frame gives one frame, each further one gives eight."""
    return Length(num_frames=8 * (temp - 1) + 1, arguments={"temp": temp})


SPEC = ModelSpec(
    key="pyramid-flow",
    label="Pyramid Flow",
    kind="autoregressive",
    how="external command",
    entry="PyramidDiTForVideoGeneration (github.com/jy0205/Pyramid-Flow)",
    weights=tuple(WeightFile(repo=_REPO, path=folder) for folder in _FOLDERS),
    licence="code MIT; weights under the SD3 licence: unconfirmed",
    height_px=384,
    width_px=640,
    fps=24,
    lengths=(_length(16),),
    settings=(
        Setting(name="num_inference_steps", value=(20, 20, 20), source=_README),
        Setting(name="video_num_inference_steps", value=(10, 10, 10), source=_README),
        Setting(name="guidance_scale", value=7.0, source=_README),
        Setting(name="video_guidance_scale", value=5.0, source=_README),
        Setting(name="save_memory", value=False, source=f"{_README}: faster decoding"),
        Setting(name="model_name", value="pyramid_mmdit", source=_README, use="fact"),
        Setting(
            name="model_variant", value="diffusion_transformer_384p", source=_README, use="fact"
        ),
        Setting(name="model_dtype", value="bf16", source=_README, use="fact"),
    ),
    chunk_frames=8,
    command=Command(
        environment=Environment(
            repository="https://github.com/jy0205/Pyramid-Flow",
            commit="3040d717b0ef48f0dfb10d0eb9f3c1d0b55442e0",
            python="3.8.10",
            install=("python -m pip install -r requirements.txt",),
            source=f"{_README}; requirements.txt pins torch 2.1.2 and transformers 4.39.3",
        ),
        argv=("{python}", "{runner}", "pyramid-flow", "{weights}", "{device}"),
        runner="runner.py",
        size_names=("height", "width"),
        timeout_s=3600,
        timing_lengths=(_length(8), _length(16)),
    ),
    notes=(
        "The 768p variant reaches 10 s at most (temp=31, 768 x 1280); 20 s is unsupported.",
        "That the paper ran the SD3 weights and not rain1011/pyramid-flow-miniflux "
        "(model_name pyramid_flux) is unconfirmed.",
        "Its generate() adds ', hyper quality, Ultra HD, 8K' to every prompt, and a negative "
        "prompt of its own.",
    ),
)
