"""The published models that this engine runs, as data: files, checkpoint layout, sampler settings.

Sources: repository paths and checkpoint entries as the releases' own scripts name them, at HiAR
da267d3, Self-Forcing 33593df, Causal-Forcing 1fc7bbc, CausVid ca21150, LongLive v1.0, Wan2.1
9737cba, taehv 1f14a56. Revisions and hashes: as other projects' published caches and manifests
name them; docs/dependencies.md lists the repositories whose revision is not known. Sizes are
computed from parameter counts where no publisher was asked, and `hiar weights fetch` checks each
file against the hash that its publisher states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.sampling.config import SamplerConfig
from hiar.weights.download import MAIN

HUB = "https://huggingface.co"
GITHUB = "https://github.com"
GB = 10**9

# Parameters, counted on the meta device (tests/hiar/weights/test_release_checkpoints.py) or stated
# by the publisher; float32 has 4 bytes, bfloat16 2.
WAN_1_3B_PARAMETERS = 1_418_996_800
WAN_14B_PARAMETERS = 14_288_491_584
UMT5_XXL_ENCODER_PARAMETERS = 5_680_910_336
WAN_VAE_PARAMETERS = 126_892_531

NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，"
    "低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，"
    "毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)
"""What guidance leads away from (Wan2.1 9737cba, wan/configs/shared_config.py, sample_neg_prompt;
SkyReels-V2 uses the same)."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file or folder of a repository.

    Attributes:
        repo: Repository, "owner/name".
        path: File in it; a folder if it ends with "/"; the whole repository if it is empty.
        revision: Commit of the repository; "main" where it is not known.
        present: Glob below the folder or repository that a fetched copy must match.
        host: Where the repository is.
        stated: Kind ("sha256" or "git blob") and hex of the hash of a file, where it is known.
    """

    repo: str
    path: str
    revision: str = MAIN
    present: str = "*"
    host: Literal["hub", "github"] = "hub"
    stated: tuple[str, str] | None = None

    @property
    def is_folder(self) -> bool:
        """True for a folder or a whole repository."""
        return self.path == "" or self.path.endswith("/")

    @property
    def address(self) -> str:
        """Where to fetch it: a download for a file, a listing for a folder."""
        if self.host == "github":
            return f"{GITHUB}/{self.repo}/raw/{self.revision}/{self.path}"
        view = "tree" if self.is_folder else "resolve"
        return f"{HUB}/{self.repo}/{view}/{self.revision}/{self.path}".rstrip("/")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing to fetch, with a name of its own on the command line.

    Attributes:
        key: Its name.
        file: Where it comes from.
        enables: What cannot run without it.
        licence: Licence of the weights; says what could not be confirmed.
        num_bytes: Expected size in bytes, rounded; None if nothing is known of it.
    """

    key: str
    file: WeightFile
    enables: str
    licence: str
    num_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Release:
    """A published transformer and how it is loaded and sampled.

    Attributes:
        key: Its name for `HiARPipeline.from_pretrained` and `hiar sample --model`.
        label: Name for people.
        part: Key of the part that holds the transformer.
        size: Name of the `WanConfig` preset.
        state_dict_keys: Entries of the checkpoint that hold the weights to take, first match
            wins; empty where the file is the state dict itself.
        lora_part: Key of the part with a LoRA to merge, or None.
        lora_alpha: Numerator of the LoRA's scale, alpha / rank.
        sampler: Settings of the release, for any length.
        source: Where the rules come from.
    """

    key: str
    label: str
    part: str
    size: Literal["wan_1_3b", "wan_14b"] = "wan_1_3b"
    state_dict_keys: tuple[str, ...] = ()
    lora_part: str | None = None
    lora_alpha: float | None = None
    sampler: SamplerConfig
    source: str

    @property
    def config(self) -> WanConfig:
        """Sizes of the transformer."""
        presets = {"wan_1_3b": WanConfig.wan_1_3b, "wan_14b": WanConfig.wan_14b}
        return presets[self.size]()


WAN_REPO = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
WAN_REVISION = "0fad780a534b6463e45facd96134c9f345acfa5b"
CAUSAL_FORCING_REVISION = "634dc0df042be8133173c3eb4d9efb5da1fba9ca"
LONGLIVE_REVISION = "cda9138d93872ef109d9a74c270184eb3a5acc6e"
TEXT_ENCODER, TOKENIZER, VAE, TINY_DECODER = "text-encoder", "tokenizer", "vae", "tiny-decoder"
COMMON_PARTS = (TEXT_ENCODER, TOKENIZER, VAE)
"""What every release needs beside its transformer."""

HEIGHT_PX, WIDTH_PX, FPS = 480, 832, 16
"""Of every release here: what Wan2.1-1.3B was trained at."""


def _wan(path: str, present: str = "*.safetensors") -> WeightFile:
    """A folder of Wan2.1's repository."""
    return WeightFile(repo=WAN_REPO, path=path, revision=WAN_REVISION, present=present)


_BASE_LICENCE = "Apache-2.0"
PARTS: tuple[Part, ...] = (
    Part(
        key="hiar",
        file=WeightFile(repo="jackyhate/HiAR", path="hiar.pt"),
        enables="model hiar",
        licence="unconfirmed; code Apache-2.0",
        num_bytes=4 * WAN_1_3B_PARAMETERS,
    ),
    Part(
        key="self-forcing",
        file=WeightFile(
            repo="gdhe17/Self-Forcing",
            path="checkpoints/self_forcing_dmd.pt",
            revision="2f8b779212da279d212c22a509b66ad6552f350e",
            stated=("sha256", "a0413986d9734e02c09504e1520f5697ba6df731bb2f0f35577485e9cc8f56a3"),
        ),
        enables="model self-forcing",
        licence="CC BY-NC-SA 4.0",
        num_bytes=4 * WAN_1_3B_PARAMETERS,
    ),
    Part(
        key="causal-forcing",
        file=WeightFile(
            repo="zhuhz22/Causal-Forcing",
            path="chunkwise/causal_forcing.pt",
            revision=CAUSAL_FORCING_REVISION,
        ),
        enables="models causal-forcing and infinity-rope",
        licence="unconfirmed; code Apache-2.0",
        num_bytes=4 * WAN_1_3B_PARAMETERS,
    ),
    Part(
        key="causal-forcing-framewise",
        file=WeightFile(
            repo="zhuhz22/Causal-Forcing",
            path="framewise/causal_forcing.pt",
            revision=CAUSAL_FORCING_REVISION,
        ),
        enables="model causal-forcing-framewise",
        licence="unconfirmed; code Apache-2.0",
        num_bytes=4 * WAN_1_3B_PARAMETERS,
    ),
    Part(
        key="causvid",
        file=WeightFile(
            repo="tianweiy/CausVid",
            path="autoregressive_checkpoint_warp_4step_cfg2/model.pt",
            revision="b545eb2728fc9d1515023a270b847f7b24b3aa89",
        ),
        enables="model causvid",
        licence="CC BY-NC-SA 4.0",
        num_bytes=4 * WAN_1_3B_PARAMETERS,
    ),
    Part(
        key="reward-forcing",
        file=WeightFile(repo="JaydenLu666/Reward-Forcing-T2V-1.3B", path="rewardforcing.pt"),
        enables="model reward-forcing",
        licence="unconfirmed; code Apache-2.0",
        num_bytes=4 * WAN_1_3B_PARAMETERS,
    ),
    Part(
        key="longlive-base",
        file=WeightFile(
            repo="Efficient-Large-Model/LongLive-1.3B",
            path="models/longlive_base.pt",
            revision=LONGLIVE_REVISION,
            stated=("sha256", "10a2aa8fcf89c77d9033f4c117405412a690e289625766619d293f0c5a208ee7"),
        ),
        enables="models longlive and longlive-infinity",
        licence="unconfirmed",
        num_bytes=4 * WAN_1_3B_PARAMETERS,
    ),
    Part(
        key="longlive-lora",
        file=WeightFile(
            repo="Efficient-Large-Model/LongLive-1.3B",
            path="models/lora.pt",
            revision=LONGLIVE_REVISION,
            stated=("sha256", "c4e43b87d62d4b0614b496773639f1ab170a7ee486dc23407901e9d3a5ebc07a"),
        ),
        enables="models longlive and longlive-infinity",
        licence="unconfirmed",
    ),
    Part(
        key="wan2.1-1.3b",
        file=_wan("transformer/"),
        enables="the bidirectional 1.3B model: teacher trajectories, training from it",
        licence=_BASE_LICENCE,
        num_bytes=4 * WAN_1_3B_PARAMETERS,
    ),
    Part(
        key="wan2.1-14b",
        file=WeightFile(
            repo="Wan-AI/Wan2.1-T2V-14B-Diffusers",
            path="transformer/",
            revision="38ec498cb3208fb688890f8cc7e94ede2cbd7f68",
            present="*.safetensors",
        ),
        enables="the real score of DMD training",
        licence=_BASE_LICENCE,
        num_bytes=4 * WAN_14B_PARAMETERS,
    ),
    Part(
        key=TEXT_ENCODER,
        file=_wan("text_encoder/"),
        enables="every full-size model: prompts that are not in the embedding cache",
        licence=_BASE_LICENCE,
        num_bytes=4 * UMT5_XXL_ENCODER_PARAMETERS,
    ),
    Part(
        key=TOKENIZER,
        file=_wan("tokenizer/", present="tokenizer.json"),
        enables="every full-size model: prompts that are not in the embedding cache",
        licence=_BASE_LICENCE,
    ),
    Part(
        key=VAE,
        file=_wan("vae/"),
        enables="every full-size model: frames from latents",
        licence=_BASE_LICENCE,
        num_bytes=4 * WAN_VAE_PARAMETERS,
    ),
    Part(
        key=TINY_DECODER,
        file=WeightFile(
            repo="madebyollin/taehv",
            path="taew2_1.pth",
            revision="1f14a568f24bf8811e0a0ac601613e04fc1581e8",
            host="github",
            stated=("git blob", "d6ffa27358914606153bbb790bd1da1c5cf822fd"),
        ),
        enables="the tiny decoder; the VAE decodes without it",
        licence="MIT",
    ),
)

DEFAULT_SAMPLER = SamplerConfig(window=21)
"""HiAR with the release's window (HiAR release, inference.py: 21 for more than 21 frames)."""
_BLOCK_FIRST = SamplerConfig(order="block_first", context="clean", window=21)
RELEASES: tuple[Release, ...] = (
    Release(
        key="hiar",
        label="HiAR",
        part="hiar",
        state_dict_keys=("generator_ema", "generator"),
        sampler=SamplerConfig(order="step_first", context="output", window=21),
        source="HiAR da267d3 configs/hiar.yaml, inference.py",
    ),
    Release(
        key="self-forcing",
        label="Self-Forcing",
        part="self-forcing",
        state_dict_keys=("generator_ema",),
        sampler=_BLOCK_FIRST,
        source="Self-Forcing 33593df configs/self_forcing_dmd.yaml, README (--use_ema)",
    ),
    Release(
        key="causal-forcing",
        label="Causal Forcing",
        part="causal-forcing",
        state_dict_keys=("generator",),
        sampler=_BLOCK_FIRST,
        source="Causal-Forcing 1fc7bbc configs/causal_forcing_dmd_chunkwise.yaml, README",
    ),
    Release(
        key="causal-forcing-framewise",
        label="Causal Forcing, frame-wise",
        part="causal-forcing-framewise",
        state_dict_keys=("generator_ema",),
        sampler=SamplerConfig(order="block_first", context="clean", frames_per_block=1, window=21),
        source="Causal-Forcing 1fc7bbc configs/causal_forcing_dmd_framewise.yaml, README",
    ),
    Release(
        key="causvid",
        label="CausVid",
        part="causvid",
        state_dict_keys=("generator",),
        sampler=SamplerConfig(order="block_first", context="clean", shift=8.0, window=21),
        source="CausVid ca21150 configs/wan_causal_dmd_warp_4step_cfg2.yaml",
    ),
    Release(
        key="longlive",
        label="LongLive 1.0",
        part="longlive-base",
        state_dict_keys=("generator",),
        lora_part="longlive-lora",
        lora_alpha=256,
        sampler=SamplerConfig(order="block_first", context="clean", window=12, sink=3),
        source="LongLive v1.0 configs/longlive_inference.yaml (LoRA rank 256, alpha 256)",
    ),
    Release(
        key="longlive-infinity",
        label="LongLive 1.0, without end",
        part="longlive-base",
        state_dict_keys=("generator",),
        lora_part="longlive-lora",
        lora_alpha=256,
        sampler=SamplerConfig(
            order="block_first", context="clean", window=12, sink=3, cache="aligned-sink"
        ),
        source="LongLive v1.0 e52d9ef configs/longlive_inference_infinity.yaml",
    ),
    Release(
        key="infinity-rope",
        label="Infinity-RoPE on Causal Forcing",
        part="causal-forcing",
        state_dict_keys=("generator",),
        sampler=SamplerConfig(
            order="block_first", context="clean", window=6, sink=1, cache="aligned-sink"
        ),
        source="Infinity-RoPE 63d7b84 configs/self_forcing_dmd.yaml, inference_causal_forcing.sh",
    ),
    Release(
        key="reward-forcing",
        label="Reward Forcing",
        part="reward-forcing",
        state_dict_keys=("generator_ema",),
        sampler=SamplerConfig(
            order="block_first", context="clean", window=9, sink=3, cache="averaged-sink"
        ),
        source="Reward-Forcing 4317f5a configs/reward_forcing.yaml, README (--use_ema)",
    ),
)


def find_part(key: str) -> Part:
    """A part by its name.

    Raises:
        UsageError: If there is none of that name.
    """
    for part in PARTS:
        if part.key == key:
            return part
    known = ", ".join(part.key for part in PARTS)
    raise UsageError(f"weights {key!r} are unknown: choose from {known}")


def find_release(key: str) -> Release:
    """A release by its name.

    Raises:
        UsageError: If there is none of that name.
    """
    for release in RELEASES:
        if release.key == key:
            return release
    known = ", ".join(release.key for release in RELEASES)
    raise UsageError(f"release {key!r} is unknown: choose one of {known}")


def sampler_of(name: str) -> SamplerConfig:
    """The settings that a model is meant to be sampled with: a release's own, or the default."""
    samplers = (release.sampler for release in RELEASES if release.key == name)
    return next(samplers, DEFAULT_SAMPLER)


def parts_of(key: str) -> tuple[Part, ...]:
    """What a name stands for: all parts of a release, or the one part of that name.

    Raises:
        UsageError: If the name is neither.
    """
    if any(release.key == key for release in RELEASES):
        release = find_release(key)
        own = [release.part, *([release.lora_part] if release.lora_part else [])]
        return tuple(find_part(name) for name in (*own, *COMMON_PARTS))
    if any(part.key == key for part in PARTS):
        return (find_part(key),)
    names = dict.fromkeys([r.key for r in RELEASES] + [p.key for p in PARTS])
    raise UsageError(f"{key!r} is no release and no weights: choose from {', '.join(names)}")
