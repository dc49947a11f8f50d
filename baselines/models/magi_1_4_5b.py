"""MAGI-1-4.5B, autoregressive by chunks."""

from baselines.spec import Command, Environment, Length, ModelSpec, Setting
from hiar.weights.releases import WeightFile

_REPO = "sand-ai/MAGI-1"
_BASE = "example/4.5B/4.5B_base_config.json"
_CONFIG = f"MAGI-1 6ff822e {_BASE}"
_README = "MAGI-1 6ff822e README"
_OURS = f"ours, the size of the Wan family; {_BASE} has 720 x 720"


def _length(num_frames: int) -> Length:
    return Length(num_frames=num_frames, arguments={"num_frames": num_frames})


SPEC = ModelSpec(
    key="magi-1-4.5b",
    label="MAGI-1-4.5B",
    kind="autoregressive",
    how="external command",
    entry="inference/pipeline/entry.py --mode t2v (github.com/SandAI-org/MAGI-1)",
    weights=(
        WeightFile(repo=_REPO, path="ckpt/magi/4.5B_base/", present="inference_weight/*"),
        WeightFile(repo=_REPO, path="ckpt/t5/", present="**/*"),
        WeightFile(repo=_REPO, path="ckpt/vae/", present="**/*"),
    ),
    licence="Apache-2.0",
    height_px=480,
    width_px=832,
    fps=24,
    lengths=(_length(120), _length(240), _length(480)),
    settings=(
        Setting(name="video_size_h, video_size_w", value="480, 832", source=_OURS, use="fact"),
        Setting(name="num_steps", value=64, source=_CONFIG),
        Setting(name="cfg_number", value=3, source=_CONFIG),
        Setting(name="window_size", value=4, source=_CONFIG),
        Setting(name="chunk_width", value=6, source=_CONFIG),
        Setting(name="fps", value=24, source=_CONFIG),
        Setting(name="num_frames", value="a multiple of 24", source=_README, use="fact"),
    ),
    chunk_frames=24,
    command=Command(
        environment=Environment(
            repository="https://github.com/SandAI-org/MAGI-1",
            commit="6ff822e74ded50611e81e1d0e115146b5c4dd2a5",
            python="3.10.12",
            install=(
                "python -m pip install torch==2.4.0 torchvision==0.19.0 torchaudio==2.4.0",
                "python -m pip install -r requirements.txt",
            ),
            source=f"{_README} and requirements.txt (ffmpeg 4.4 must be on the PATH)",
        ),
        argv=(
            "{python}",
            "inference/pipeline/entry.py",
            "--mode=t2v",
            "--config_file={config}",
            "--prompt={prompt}",
            "--output_path={video}",
        ),
        variables={
            "MASTER_ADDR": "localhost",
            "WORLD_SIZE": "1",
            "PAD_HQ": "1",
            "PAD_DURATION": "1",
            "OFFLOAD_T5_CACHE": "true",
            "OFFLOAD_VAE_CACHE": "true",
            "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        },
        config_base=_BASE,
        config_section="runtime_config",
        paths={
            "load": "{weights}/ckpt/magi/4.5B_base",
            "t5_pretrained": "{weights}/ckpt/t5",
            "vae_pretrained": "{weights}/ckpt/vae",
        },
        size_names=("video_size_h", "video_size_w"),
        timeout_s=4 * 3600,
        timing_lengths=(_length(120), _length(480)),
    ),
    notes=(
        "It pins torch 2.4, diffusers 0.29.2 and transformers 4.42.3: an environment of its own. "
        "Its authors' image sandai/magi:latest has all of it.",
        "Every video is a process of its own that loads the model again.",
        "ckpt/t5 is given as t5_pretrained; where its files lie below it was not seen.",
    ),
)
