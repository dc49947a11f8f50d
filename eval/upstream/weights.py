"""The published weights that upstream's dimensions load: where they belong, and whether they exist.

Upstream and its libraries look for weights in three folders, which the variables VBENCH_CACHE_DIR,
TORCH_HOME and HF_HOME name. Weights in existing caches are therefore found.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drift.errors import UsageError
from drift.files import file_sha256
from drift.metrics.weights.download import MAIN
from eval.protocol.protocols import Protocol

Root = Literal["vbench", "torch", "huggingface"]
State = Literal["present", "missing", "wrong"]
VARIABLES: dict[Root, str] = {
    "vbench": "VBENCH_CACHE_DIR",
    "torch": "TORCH_HOME",
    "huggingface": "HF_HOME",
}
_VBENCH_REPO = "OpenGVLab/VBench_Used_Models"
_BERT = "bert-base-uncased"
_CLIP = "https://openaipublic.azureedge.net/clip/models"
_META = "https://dl.fbaipublicfiles.com"


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file, or one folder of a repository.

    Attributes:
        name: Name that ``hiar-vbench weights fetch NAME`` takes.
        root: The one of the three folders that holds it.
        path: Path inside that folder; may have wildcards.
        url: Address where a file is published that is not on the Hugging Face hub.
        repo: Repository of the hub, which has it under its own name at its top.
        kind: Kind of that repository, "model" or "space".
        megabytes: Approximate size; for most, that of the architecture in float32, an upper bound.
        sha256: SHA-256 or its first digits, where the publisher states it; else empty.
        member: Path inside the zip, if a zip is published; "*" unpacks all of it.
    """

    name: str
    root: Root
    path: str
    megabytes: float
    url: str = ""
    repo: str = ""
    kind: str = "model"
    sha256: str = ""
    member: str = ""

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return self.path.rpartition("/")[2]

    @property
    def address(self) -> str:
        """Address where it is published."""
        spaces = "spaces/" * (self.kind == "space")
        hub = f"https://huggingface.co/{spaces}{self.repo}/resolve/{MAIN}/{self.file_name}"
        return hub if self.repo else self.url


# Source of paths and addresses: Vchitect/VBench 45e79ec vbench/utils.py (init_submodules) and
# pretrained/; vbench2_beta_long/subject_consistency.py. CLIP states hashes in its addresses; MUSIQ,
# by torch.hub's rule, in its file name.
WEIGHTS: dict[str, WeightFile] = {
    weight.name: weight
    for weight in (
        WeightFile(
            name="dino-code",
            root="torch",
            path="hub/facebookresearch_dino_main/hubconf.py",
            url="https://github.com/facebookresearch/dino/archive/refs/heads/main.zip",
            megabytes=25,
            member="*",
        ),
        WeightFile(
            name="dino",
            root="torch",
            path="hub/checkpoints/dino_vitbase16_pretrain.pth",
            url=f"{_META}/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth",
            megabytes=343,
        ),
        WeightFile(
            name="clip-b32",
            root="vbench",
            path="clip_model/ViT-B-32.pt",
            url=f"{_CLIP}/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
            megabytes=606,
            sha256="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        ),
        WeightFile(
            name="clip-l14",
            root="vbench",
            path="clip_model/ViT-L-14.pt",
            url=f"{_CLIP}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
            megabytes=1711,
            sha256="b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        ),
        WeightFile(
            name="aesthetic-head",
            root="vbench",
            path="aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth",
            url="https://raw.githubusercontent.com/LAION-AI/aesthetic-predictor/main/"
            "sa_0_4_vit_l_14_linear.pth",
            megabytes=0.005,
        ),
        WeightFile(
            name="amt-s",
            root="vbench",
            path="amt_model/amt-s.pth",
            repo="lalala125/AMT",
            megabytes=12,
        ),
        WeightFile(
            name="raft",
            root="vbench",
            path="raft_model/models/raft-things.pth",
            url="https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip",
            megabytes=21,
            member="models/raft-things.pth",
        ),
        WeightFile(
            name="musiq-spaq",
            root="vbench",
            path="pyiqa_model/musiq_spaq_ckpt-358bb6af.pth",
            url="https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights/"
            "musiq_spaq_ckpt-358bb6af.pth",
            megabytes=109,
            sha256="358bb6af",
        ),
        WeightFile(
            name="grit",
            root="vbench",
            path="grit_model/grit_b_densecap_objectdet.pth",
            repo=_VBENCH_REPO,
            megabytes=835,
        ),
        WeightFile(
            name="umt-l16",
            root="vbench",
            path="umt_model/l16_ptk710_ftk710_ftk400_f16_res224.pth",
            repo=_VBENCH_REPO,
            megabytes=1227,
        ),
        WeightFile(
            name="tag2text",
            root="vbench",
            path="caption_model/tag2text_swin_14m.pth",
            repo="xinyu1205/recognize-anything",
            kind="space",
            megabytes=1502,
        ),
        WeightFile(
            name="viclip",
            root="vbench",
            path="ViCLIP/ViClip-InternVid-10M-FLT.pth",
            repo=_VBENCH_REPO,
            megabytes=1711,
        ),
        WeightFile(
            name="viclip-vocabulary",
            root="vbench",
            path="ViCLIP/bpe_simple_vocab_16e6.txt.gz",
            url="https://raw.githubusercontent.com/openai/CLIP/main/clip/"
            "bpe_simple_vocab_16e6.txt.gz",
            megabytes=1.4,
        ),
        WeightFile(
            name="bert-vocabulary",
            root="huggingface",
            path="hub/models--bert-base-uncased/snapshots/*/vocab.txt",
            repo=_BERT,
            megabytes=0.7,
        ),
        WeightFile(
            name="bert",
            root="huggingface",
            path="hub/models--bert-base-uncased/snapshots/*/model.safetensors",
            repo=_BERT,
            megabytes=440,
        ),
        WeightFile(
            name="dinov2-code",
            root="torch",
            path="hub/facebookresearch_dinov2_main/hubconf.py",
            url="https://github.com/facebookresearch/dinov2/archive/refs/heads/main.zip",
            megabytes=5,
            member="*",
        ),
        WeightFile(
            name="dinov2",
            root="torch",
            path="hub/checkpoints/dinov2_vitb14_pretrain.pth",
            url=f"{_META}/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
            megabytes=346,
        ),
    )
}
_GRIT = ("grit", "bert-vocabulary")
_VICLIP = ("viclip", "viclip-vocabulary")
NEEDED: dict[str, tuple[str, ...]] = {
    "subject_consistency": ("dino-code", "dino"),
    "background_consistency": ("clip-b32",),
    "temporal_flickering": (),
    "motion_smoothness": ("amt-s",),
    "dynamic_degree": ("raft",),
    "aesthetic_quality": ("clip-l14", "aesthetic-head"),
    "imaging_quality": ("musiq-spaq",),
    "object_class": _GRIT,
    "multiple_objects": _GRIT,
    "human_action": ("umt-l16",),
    "color": _GRIT,
    "spatial_relationship": _GRIT,
    "scene": ("tag2text", "bert-vocabulary", "bert"),
    "appearance_style": ("clip-b32",),
    "temporal_style": _VICLIP,
    "overall_consistency": _VICLIP,
}
# The long-range half of VBench-Long. DreamSim, of background_consistency, fetches its own files
# into ~/.cache when it is first used; they are not listed here.
NEEDED_LONG = {"subject_consistency": ("dinov2-code", "dinov2")}


def needed_weights(dimension: str, protocol: Protocol) -> tuple[str, ...]:
    """Names of the weights that a dimension loads."""
    return NEEDED[dimension] + (NEEDED_LONG.get(dimension, ()) if protocol.long else ())


def weight_roots(environment: Mapping[str, str] = os.environ) -> dict[Root, Path]:
    """The three folders that hold weights: from their variables, or the usual defaults.

    Raises:
        UsageError: One of them is a file.
    """
    cache = Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    defaults: dict[Root, Path] = {
        "vbench": Path("~/.cache/vbench").expanduser(),  # upstream does not read XDG_CACHE_HOME
        "torch": cache / "torch",
        "huggingface": cache / "huggingface",
    }
    roots = {
        root: Path(environment.get(VARIABLES[root]) or default).expanduser().absolute()
        for root, default in defaults.items()
    }
    for root, folder in roots.items():
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is not a folder: set {VARIABLES[root]} to one")
    return roots


def locate(weight: WeightFile, roots: Mapping[Root, Path]) -> Path:
    """Path of a weight file, or where it belongs if it is missing."""
    root = roots[weight.root]
    found = sorted(root.glob(weight.path))
    return found[-1] if found else root / weight.path


def check(weight: WeightFile, roots: Mapping[Root, Path], *, hashed: bool) -> tuple[State, str]:
    """Checks whether a weight file exists and has the right content.

    Args:
        weight: The weight to check.
        roots: The three folders that hold weights.
        hashed: Whether to read the file and compare its hash with the one that the publisher
            states, or else with the one noted when it was fetched.

    Returns:
        The state, and one line of detail: the path, or what is wrong.
    """
    path = locate(weight, roots)
    if not path.is_file():
        return "missing", str(path)
    if path.stat().st_size == 0:
        return "wrong", f"{path} is empty; fetch it again"
    expected = weight.sha256 or _noted(path)
    if hashed and expected:
        found = file_sha256(path)
        if not found.startswith(expected):
            return "wrong", f"{path} has sha256 {found[:16]}..., expected {expected[:16]}..."
    return "present", str(path)


def _note_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")


def _noted(path: Path) -> str:
    try:
        return _note_path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def note_hash(path: Path, sha256: str) -> None:
    """Writes the hash of a fetched file beside it."""
    _note_path(path).write_text(sha256 + "\n", encoding="ascii")


def find_weights(names: Iterable[str]) -> tuple[WeightFile, ...]:
    """Finds weights by their own names or by the names of the dimensions that need them.

    Raises:
        UsageError: A name is neither a weight nor a dimension.
    """
    found: list[str] = []
    for name in names:
        if name in WEIGHTS:
            found.append(name)
        elif name in NEEDED:
            found += [*NEEDED[name], *NEEDED_LONG.get(name, ())]
        else:
            known = ", ".join(WEIGHTS)
            raise UsageError(f"{name!r} is neither a dimension nor one of {known}")
    return tuple(WEIGHTS[name] for name in dict.fromkeys(found))
