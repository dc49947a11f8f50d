"""MAGI-1-4.5B, autoregressive by chunks."""

from baselines.spec import Length, ModelSpec, Setting
from hiar.releases import WeightFile

_REPO = "sand-ai/MAGI-1"
_CONFIG = "MAGI-1 6ff822e example/4.5B/4.5B_base_config.json"

SPEC = ModelSpec(
    key="magi-1-4.5b",
    label="MAGI-1-4.5B",
    kind="autoregressive",
    how="external command",
    entry="inference/pipeline/entry.py --mode t2v (github.com/SandAI-org/MAGI-1)",
    weights=(
        WeightFile(repo=_REPO, path="ckpt/magi/4.5B_base/"),
        WeightFile(repo=_REPO, path="ckpt/t5/"),
        WeightFile(repo=_REPO, path="ckpt/vae/"),
    ),
    licence="Apache-2.0",
    height_px=720,
    width_px=720,
    fps=24,
    lengths=(
        Length(num_frames=120, setting="num_frames=120"),
        Length(num_frames=480, setting="num_frames=480"),
    ),
    settings=(
        Setting(name="video_size_h, video_size_w", value="720, 720", source=_CONFIG),
        Setting(name="num_steps", value="64", source=_CONFIG),
        Setting(name="cfg_number", value="3", source=_CONFIG),
        Setting(name="window_size", value="4 chunks", source=_CONFIG),
        Setting(name="chunk_width", value="6 latent frames (24 frames)", source=_CONFIG),
        Setting(name="num_frames", value="a multiple of 24", source=_CONFIG),
    ),
    notes=(
        "It pins torch 2.4, diffusers 0.29.2 and transformers 4.42.3: an environment of its own.",
        "Set video_size_h and video_size_w to 480 and 832 to compare at the Wan family's size.",
    ),
)
