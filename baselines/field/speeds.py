"""Published speeds, each with what it counts. Nothing here was measured by this toolkit."""

from baselines.field.facts import PublishedSpeed
from baselines.field.models import FORCING_KV, REWARD, ROLLING, WAVE

# Four denoising passes and the context pass that writes the clean cache.
BLOCK_FIRST_PASSES = 5
_WAVE_8 = "8 x H200: 4 steps + 1 cache + 3 decoder"

SPEEDS: tuple[PublishedSpeed, ...] = (
    PublishedSpeed(
        model="self-forcing", fps=17.0, kind="steady", hardware="1 x H100",
        passes_per_block=BLOCK_FIRST_PASSES,
        source="arXiv 2506.08009, Table 1: a block's 12 frames over its latency of 0.69 s are 17.4",
    ),
    PublishedSpeed(
        model="hiar", fps=30.0, kind="not said", hardware="4 GPUs, one step each",
        passes_per_block=8, source="arXiv 2603.08703, Table 1; its released benchmark (HiAR "
        "da267d3 scripts/run_benchmark.sh) leaves out text and decoding",
    ),
    PublishedSpeed(
        model="longlive", fps=20.7, kind="not said", hardware="1 x H100",
        passes_per_block=BLOCK_FIRST_PASSES, source="NVlabs/LongLive v1.0 README",
    ),
    PublishedSpeed(
        model="rolling-forcing", fps=16.0, kind="not said", hardware="1 GPU, which is not said",
        source=f"{ROLLING} README",
    ),
    PublishedSpeed(
        model="reward-forcing", fps=23.1, kind="not said", hardware="1 x H100",
        passes_per_block=BLOCK_FIRST_PASSES, source=REWARD,
    ),
    PublishedSpeed(
        model="longlive-2", fps=45.7, kind="not said", hardware="not said; NVFP4, 2 steps",
        source="NVlabs/LongLive 7860ad9 README",
    ),
    PublishedSpeed(
        model="hybrid-forcing", fps=29.5, kind="not said", hardware="1 x H100, no quantisation",
        source="arXiv 2604.10103, abstract",
    ),
    PublishedSpeed(
        model="forcing-kv", fps=29.0, kind="not said", hardware="480p, on LongLive: over 29",
        source=FORCING_KV,
    ),
    PublishedSpeed(
        model="waveforcing", fps=125.7, kind="steady", hardware=f"{_WAVE_8}; Sage", decode="no",
        text="no", source=f"{WAVE}: p50 of per_tick_ms[12:-4]; a checkpoint that is not public",
    ),
    PublishedSpeed(
        model="waveforcing", fps=117.7, kind="end to end", hardware=f"{_WAVE_8}; Sage",
        decode="yes", source=f"{WAVE}: 1596 frames, filling and draining inside; the same",
    ),
    PublishedSpeed(
        model="waveforcing", fps=84.2, kind="end to end",
        hardware="8 x H200: 5 steps + 1 cache + 2 decoder; bf16", decode="yes",
        source=f"{WAVE}: the Preview checkpoint, which is public",
    ),
    PublishedSpeed(
        model="helios", fps=19.5, kind="end to end", hardware="1 x H100, 384 x 640", decode="yes",
        text="yes", source="arXiv 2603.04379, abstract; PKU-YuanGroup/Helios 2276f8e eval",
    ),
    PublishedSpeed(
        model="krea-realtime-14b", fps=11.0, kind="not said", hardware="1 x B200",
        source="krea-ai/realtime-video issue 14",
    ),
)  # fmt: skip


def speeds_of(model: str) -> tuple[PublishedSpeed, ...]:
    """The published speeds of one model."""
    return tuple(speed for speed in SPEEDS if speed.model == model)
