"""NOVA 0.6B, autoregressive."""

from baselines.spec import Command, Environment, Length, ModelSpec, Setting, Trained
from hiar.weights.releases import WeightFile

_REPO = "BAAI/nova-d48w1024-osp480"
_README = "NOVA 2cd254a README"
_EVALUATION = "NOVA 2cd254a docs/evaluation.md"


def _length(latents: int) -> Length:
    """Length of a video: the first latent frame gives one frame, each further one gives four."""
    return Length(num_frames=4 * (latents - 1) + 1, arguments={"max_latent_length": latents})


SPEC = ModelSpec(
    key="nova",
    label="NOVA",
    kind="autoregressive",
    how="external command",
    entry="NOVAPipeline of the diffnext package (github.com/baaivision/NOVA)",
    weights=(WeightFile(repo=_REPO, path=""),),
    licence="Apache-2.0 (code and weights)",
    height_px=480,
    width_px=768,
    fps=12,
    lengths=(_length(9),),
    settings=(
        Setting(name="num_inference_steps", value=128, source=_EVALUATION),
        Setting(name="num_diffusion_steps", value=100, source=f"{_README}, better quality"),
        Setting(name="guidance_scale", value=7.0, source=_EVALUATION),
        Setting(name="motion_flow", value=5, source=_EVALUATION),
        Setting(
            name="prompts",
            value="rewritten, dense (evaluations/vbench/prompts.json); yours are passed as given",
            source=_EVALUATION,
            use="fact",
        ),
        Setting(name="torch_dtype", value="float16", source=_README, use="fact"),
        Setting(name="trust_remote_code", value=True, source=_README, use="fact"),
    ),
    trained=Trained(num_frames=33, source="NOVA 2cd254a README, model zoo"),
    chunk_frames=4,
    command=Command(
        environment=Environment(
            repository="https://github.com/baaivision/NOVA",
            commit="2cd254afdedae8670ccb492c28c53caa08f7b5a0",
            python="3.10 (its authors name none)",
            install=(
                "python -m pip install -r requirements.txt",
                "python -m pip install .",
            ),
            source=f"{_README} and requirements.txt, which pin no version",
        ),
        argv=("{python}", "{runner}", "nova", "{weights}", "{device}"),
        variables={"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"},
        runner="runner.py",
        size_names=None,
        timeout_s=3600,
        timing_lengths=(_length(5), _length(9)),
    ),
    notes=(
        "Trained on 33 frames (2.75 s); a larger max_latent_length extrapolates and no setting "
        "supports 20 s.",
        "The size is the checkpoint's: it has no setting.",
    ),
)
