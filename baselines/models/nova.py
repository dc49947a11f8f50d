"""NOVA 0.6B, autoregressive."""

from baselines.spec import Length, ModelSpec, Setting
from hiar.releases import WeightFile

_README = "NOVA 2cd254a README"
_EVALUATION = "NOVA 2cd254a evaluation guide"

SPEC = ModelSpec(
    key="nova",
    label="NOVA",
    kind="autoregressive",
    how="external command",
    entry="NOVAPipeline of the diffnext package (github.com/baaivision/NOVA)",
    weights=(WeightFile(repo="BAAI/nova-d48w1024-osp480", path=""),),
    licence="Apache-2.0 (code and weights)",
    height_px=480,
    width_px=768,
    fps=12,
    lengths=(Length(num_frames=33, setting="max_latent_length=9"),),
    settings=(
        Setting(name="num_inference_steps", value="128", source=_EVALUATION),
        Setting(name="num_diffusion_steps", value="100", source=_EVALUATION),
        Setting(name="guidance_scale", value="7", source=_EVALUATION),
        Setting(name="motion_flow", value="5", source=_EVALUATION),
        Setting(name="prompts", value="rewritten, dense", source=_EVALUATION),
        Setting(name="torch_dtype", value="float16", source=_README),
        Setting(name="trust_remote_code", value="True", source=_README),
    ),
    notes=(
        "Trained on 33 frames (2.75 s); a larger max_latent_length extrapolates and no setting "
        "supports 20 s.",
    ),
)
