"""Models of 2025 and 2026 beyond the paper's table, as their authors describe them."""

from baselines.field.facts import Fact, FieldModel

# Snapshots that were read, unless a fact names another one.
ROLLING = "TencentARC/RollingForcing a1477d0"
REWARD = "JaydenLyh/Reward-Forcing 0d76dd6 README"
FORCING_KV = "zju-jiyicheng/Forcing-KV 03d7ae2 README"
WAVE = "SJTU-DENG-Lab/WaveForcing 125e425 README"
CAUSAL = "thu-ml/Causal-Forcing 1fc7bbc"
KREA = "krea-ai/realtime-video 1079e2e README"
HELIOS = "PKU-YuanGroup/Helios 2276f8e"

FIELD: tuple[FieldModel, ...] = (
    FieldModel(
        key="rolling-forcing",
        label="Rolling Forcing",
        code=Fact(value="github.com/TencentARC/RollingForcing a1477d0", source=ROLLING),
        weights=Fact(
            value="TencentARC/RollingForcing, entry generator_ema; no revision known",
            source=ROLLING,
        ),
        licence=Fact(value="weights MIT", source="the hub's card of TencentARC/RollingForcing"),
        context=Fact(
            value="a window of 5 blocks at 5 noise levels is denoised together, with full "
            "attention inside it (1000, 800, 600, 400, 200, warped by 5); 21 latent frames are "
            "attended, 24 cached clean; the first block is kept without rotary phase and placed "
            "just before the window",
            source=ROLLING,
        ),
        why_not="denoises 5 blocks at 5 noise levels together, in a loop of its own",
        paper=Fact(value="arXiv 2509.25161", source="TencentARC/RollingForcing 250063c README"),
    ),
    FieldModel(
        key="longlive-2",
        label="LongLive 2.0",
        base=Fact(value="5B; NVFP4 variants of 4 and 2 steps", source="NVlabs/LongLive issue 103"),
        code=Fact(value="github.com/NVlabs/LongLive 7860ad9", source="NVlabs/LongLive 7860ad9"),
        why_not="another base model than Wan2.1-1.3B",
        paper=Fact(value="arXiv 2605.18739", source="arXiv's listing"),
    ),
    FieldModel(
        key="deep-forcing",
        label="Deep Forcing",
        base=Fact(
            value="no training: weights of Self-Forcing or Causal Forcing",
            source=f"{CAUSAL} README",
        ),
        context=Fact(
            value="half of the window is a sink, aligned in rotary phase; compression of the cache "
            "keeps the tokens that take part most",
            source="arXiv 2512.05081, abstract",
        ),
        why_not="no rule here compresses a cache, and its code is not out",
        paper=Fact(value="arXiv 2512.05081", source="arXiv's listing"),
    ),
    FieldModel(
        key="forcing-kv",
        label="Forcing-KV",
        base=Fact(
            value="no training: Self-Forcing, LongLive, Krea Realtime 14B, Rolling Forcing",
            source=FORCING_KV,
        ),
        code=Fact(value="github.com/zju-jiyicheng/Forcing-KV 03d7ae2", source=FORCING_KV),
        context=Fact(
            value="by head: static structural pruning of the cache or dynamic pruning by "
            "similarity; 30 % less cache",
            source=FORCING_KV,
        ),
        why_not="no rule here prunes a cache by head",
        paper=Fact(value="arXiv 2605.09681", source="arXiv's listing"),
    ),
    FieldModel(
        key="hybrid-forcing",
        label="Hybrid Forcing",
        context=Fact(
            value="block-sparse attention within a window and a linear state beyond it",
            source="arXiv 2604.10103, abstract",
        ),
        why_not="no linear attention here",
        paper=Fact(value="arXiv 2604.10103", source="arXiv's listing"),
    ),
    FieldModel(
        key="waveforcing",
        label="Wave Forcing, 5-step Preview",
        base=Fact(
            value="Wan2.1-T2V-1.3B, 5 steps: 1000, 800, 600, 400, 200. The 4-step checkpoint of "
            "its fastest results is not public",
            source=WAVE,
        ),
        code=Fact(value="github.com/SJTU-DENG-Lab/WaveForcing 125e425", source=WAVE),
        weights=Fact(
            value="SJTU-DENG-Lab/WaveForcing-T2V-1.3B-5step-Preview, model.safetensors; no "
            "revision known",
            source=WAVE,
        ),
        licence=Fact(value="code Apache-2.0", source=WAVE),
        context=Fact(
            value="a frontier of blocks at mixed noise; each sees cleaner blocks only, so that the "
            "keys and values travel one way between GPUs that each own one step",
            source=WAVE,
        ),
        why_not="a program of its own, for 8 Hopper GPUs",
        paper=Fact(value="none yet; sjtu-deng-lab.github.io/WaveForcing", source=WAVE),
    ),
    FieldModel(
        key="causal-forcing-2-step",
        label="Causal Forcing++, frame-wise, 2 steps (or 1)",
        base=Fact(value="Wan2.1-T2V-1.3B", source=CAUSAL),
        code=Fact(value="github.com/thu-ml/Causal-Forcing 1fc7bbc", source=CAUSAL),
        weights=Fact(
            value="zhuhz22/Causal-Forcing, causal-forcing++/framewise-2step.pt and "
            "framewise-1step.pt, with --use_ema; no revision known",
            source=f"{CAUSAL} README",
        ),
        licence=Fact(value="code Apache-2.0", source=f"{CAUSAL} LICENSE"),
        context=Fact(
            value="clean, one latent frame a block; steps 1000, 500 (or 1000), warped by 5, but "
            "the first block has four: 1000, 750, 500, 250",
            source=f"{CAUSAL} configs/causal_forcing_dmd_framewise_2step.yaml",
        ),
        why_not="the sampler has one list of steps for all blocks",
        paper=Fact(value="arXiv 2605.15141", source="arXiv's listing"),
    ),
    FieldModel(
        key="self-gradient-forcing",
        label="Self Gradient Forcing",
        base=Fact(value="Causal Forcing", source="arXiv 2607.20368"),
        why_not="its weights were not found",
        paper=Fact(value="arXiv 2607.20368", source="arXiv's listing"),
    ),
    FieldModel(
        key="helios",
        label="Helios 14B",
        code=Fact(value="github.com/PKU-YuanGroup/Helios 2276f8e", source=HELIOS),
        weights=Fact(
            value="BestWishYsh/Helios-*; diffusers HeliosPipeline; no revision known",
            source="diffusers 0.42.1, HeliosPipeline",
        ),
        why_not="no adapter yet; diffusers has its pipeline",
        paper=Fact(value="arXiv 2603.04379", source="arXiv's listing"),
    ),
    FieldModel(
        key="krea-realtime-14b",
        label="Krea Realtime 14B",
        base=Fact(
            value="Wan2.1-T2V-14B by Self-Forcing, from lightx2v's step-distilled checkpoint",
            source=KREA,
        ),
        code=Fact(value="github.com/krea-ai/realtime-video 1079e2e", source=KREA),
        weights=Fact(
            value="krea/krea-realtime-video, krea-realtime-video-14b.safetensors; no revision "
            "known",
            source=FORCING_KV,
        ),
        why_not="a model of 14B with a program of its own",
    ),
)
