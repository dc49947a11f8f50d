"""Published numbers that users did not reproduce, with both values and the thread."""

from baselines.field.facts import Dispute

_GITHUB = "https://github.com"

DISPUTES: tuple[Dispute, ...] = (
    Dispute(
        model="Self-Forcing, by Rolling Forcing's authors",
        what="quality drift: imaging quality of the first 5 s minus the last 5 s of 30 s, 200 "
        "MovieGen prompts",
        published="1.66", measured="4.76 (70.06 to 65.31)",
        link=f"{_GITHUB}/TencentARC/RollingForcing/issues/12",
    ),
    Dispute(
        model="Reward Forcing", what="frames/s on an H100", published="23.1",
        measured="13.7 (81 frames in 5.9 s)",
        link=f"{_GITHUB}/JaydenLyh/Reward-Forcing/issues/13",
        cause="what the published number counts is not said; the users' is from end to end",
    ),
    Dispute(
        model="Self-Forcing", what="frames/s on an H100", published="17",
        measured="13.1 (81 frames in 6.2 s)",
        link=f"{_GITHUB}/JaydenLyh/Reward-Forcing/issues/13", cause="as above",
    ),
    Dispute(
        model="LongLive 1.0", what="frames/s", published="20.7 on an H100",
        measured="1.2 on an H20, 1.5 on an A100", link=f"{_GITHUB}/NVlabs/LongLive/issues/28",
        cause="other cards; on the A100 latent frames were counted, of which 120 are 477 frames",
    ),
    Dispute(
        model="LongLive 1.0", what="VBench Total", published="84.87",
        measured="83.95 base model, 83.65 with the LoRA",
        link=f"{_GITHUB}/NVlabs/LongLive/issues/51", cause="seeds, its authors answer",
    ),
    Dispute(
        model="LongLive 2.0", what="frames/s, NVFP4, 2 steps", published="45.7",
        measured="33.8 denoising, 24.1 from end to end, on a B200",
        link=f"{_GITHUB}/NVlabs/LongLive/issues/103",
        cause="the published table names no hardware and not what it counts",
    ),
    Dispute(
        model="Krea Realtime 14B", what="frames/s", published="11 on a B200",
        measured="not reached on a B200; 3.6 to 4.3 on an H100 "
        "(daydreamlive/scope issue 55)",
        link=f"{_GITHUB}/krea-ai/realtime-video/issues/14",
    ),
    Dispute(
        model="Causal Forcing", what="dynamic degree, the same 100 prompts", published="68 %",
        measured="90 % (Self-Forcing: 76 % for 57 %)",
        link=f"{_GITHUB}/thu-ml/Causal-Forcing/issues/25",
        cause="a yes or no by a threshold; the order of the two models is the same",
    ),
    Dispute(
        model="Causal Forcing", what="VisionReward", published="above Self-Forcing",
        measured="0.0609, below Self-Forcing's 0.0676",
        link=f"{_GITHUB}/thu-ml/Causal-Forcing/issues/25",
    ),
    Dispute(
        model="HunyuanVideo", what="VBench Total; dynamic degree", published="83.24; 70.8",
        measured="81.88; 54.7", link=f"{_GITHUB}/Vchitect/VBench/issues/122",
        cause="its authors had used VBench-Long; whether that explains all of it was not read",
    ),
)  # fmt: skip
