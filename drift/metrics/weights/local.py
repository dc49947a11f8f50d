"""The published weights that learned metrics need: where they come from and where they lie.

They are looked for in the folder that `--weights-dir` or `DRIFT_WEIGHTS` names, then in the Hugging
Face cache, then in those of torch, pyiqa and CLIP. Nothing is fetched unless asked, and nothing at
all while `DRIFT_OFFLINE` or `HF_HUB_OFFLINE` is set. Light imports.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from drift.errors import UsageError
from drift.files import file_sha256
from drift.metrics.registry import GROUPS, METRICS
from drift.metrics.weights import download
from drift.metrics.weights.download import MAIN, snapshots, torch_cache

FOLDER_VARIABLE = "DRIFT_WEIGHTS"
OFFLINE_VARIABLES = ("DRIFT_OFFLINE", "HF_HUB_OFFLINE")
DEFAULT_FOLDER = "~/.cache/drift/weights"
MIB = 2**20

State: TypeAlias = Literal["present", "missing", "damaged"]


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file of published weights.

    Args:
        name: Short name, as in `drift weights fetch <name>`.
        file: Its name in the weights folder.
        sha256: 64 hex digits, or as many of the first ones as are published.
        size_mib: Size, rounded.
        licence: Licence of the weights.
        repo: Repository of the hub, "owner/name"; empty for a file that is not there.
        path: Path in that repository.
        revision: Commit of that repository.
        url: Where a file that is not on the hub is published.
        cached: Where another tool keeps it; `{torch}` is torch's cache.
        package: Installed package whose own copy serves as well, as `package/path`.
    """

    name: str
    file: str
    sha256: str
    size_mib: float
    licence: str
    repo: str = ""
    path: str = ""
    revision: str = MAIN
    url: str = ""
    cached: str = ""
    package: str = ""

    @property
    def used_by(self) -> tuple[str, ...]:
        """What does not run without it: metrics, or `metric=variant` for one that is no default."""
        return tuple(
            spec.name if index == 0 else f"{spec.name}={variant.name}"
            for spec in METRICS.values()
            for index, variant in enumerate(spec.variants)
            if self.name in variant.weights
        )


_IQA = "chaofengc/IQA-PyTorch-Weights"
_IQA_REVISION = "0df2df423c65f6a64209309695f3845727431027"
_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity"

WEIGHTS: dict[str, WeightFile] = {
    weight.name: weight
    for weight in (
        WeightFile(
            name="musiq-koniq",
            file="musiq_koniq_ckpt-e95806b9.pth",
            repo=_IQA,
            path="musiq_koniq_ckpt-e95806b9.pth",
            revision=_IQA_REVISION,
            cached="{torch}/pyiqa/musiq_koniq_ckpt-e95806b9.pth",
            sha256="e95806b9eae5f3814c410f574ba8e552362bd5bc63d758ed5b97860f5d6185aa",
            size_mib=104,
            licence="original weights Apache-2.0; this conversion: none stated by its host",
        ),
        WeightFile(
            name="musiq-spaq",
            file="musiq_spaq_ckpt-358bb6af.pth",
            repo=_IQA,
            path="musiq_spaq_ckpt-358bb6af.pth",
            revision=_IQA_REVISION,
            cached="{torch}/pyiqa/musiq_spaq_ckpt-358bb6af.pth",
            sha256="358bb6af",
            size_mib=104,
            licence="original weights Apache-2.0; this conversion: none stated by its host",
        ),
        WeightFile(
            name="clip-rn50",
            file="RN50.pt",
            url="https://openaipublic.azureedge.net/clip/models/"
            "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt",
            cached="~/.cache/clip/RN50.pt",
            sha256="afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
            size_mib=244,
            licence="MIT",
        ),
        WeightFile(
            name="clip-vit-b-32",
            file="ViT-B-32.pt",
            url="https://openaipublic.azureedge.net/clip/models/"
            "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
            cached="~/.cache/clip/ViT-B-32.pt",
            sha256="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
            size_mib=338,
            licence="MIT",
        ),
        WeightFile(
            name="dinov2-base",
            file="dinov2-base.safetensors",
            repo="facebook/dinov2-base",
            path="model.safetensors",
            revision="f9e44c814b77203eaa57a6bdbbd535f21ede1415",
            sha256="d73036b56966966d07975d696bde331762f37297e2f095de8cea0040c3aa0841",
            size_mib=330,
            licence="Apache-2.0",
        ),
        WeightFile(
            name="dinov2-small",
            file="dinov2-small.safetensors",
            repo="facebook/dinov2-small",
            path="model.safetensors",
            revision="ed25f3a31f01632728cabb09d1542f84ab7b0056",
            sha256="ae1e99fcefd534ed978cdeb8326f08030c96e28b7a81ffcbc98a857c84d14be1",
            size_mib=84,
            licence="Apache-2.0",
        ),
        WeightFile(
            name="alexnet",
            file="alexnet-owt-7be5be79.pth",
            url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
            cached="{torch}/checkpoints/alexnet-owt-7be5be79.pth",
            sha256="7be5be79",
            size_mib=233,
            licence="BSD-3-Clause (torchvision); ImageNet, its data, is for research only",
        ),
        WeightFile(
            name="lpips-alex",
            file="LPIPS_v0.1_alex-df73285e.pth",
            url=f"{_LPIPS}/master/lpips/weights/v0.1/alex.pth",
            sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
            size_mib=0.006,
            licence="BSD-2-Clause",
            package="lpips/weights/v0.1/alex.pth",
        ),
    )
}
"""Sources of the hashes: the hosts' own file lists, for dinov2-base as manifests of other projects
repeat them; the file names where only a prefix is known (both checkpoint collections name files by
the first 8 digits of their sha256)."""


def weights_folder(folder: Path | None = None) -> Path:
    """The folder of the weights: as given, else as `DRIFT_WEIGHTS` says, else the default.

    Raises:
        UsageError: the path exists and is not a folder.
    """
    chosen = folder or Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)
    chosen = chosen.expanduser()
    if chosen.exists() and not chosen.is_dir():
        raise UsageError(f"{chosen} is not a folder; give --weights-dir or set {FOLDER_VARIABLE}")
    return chosen


def is_default(folder: Path) -> bool:
    """Whether nobody named a folder: files from the hub then go to the Hugging Face cache."""
    return folder == Path(DEFAULT_FOLDER).expanduser()


def is_offline() -> bool:
    """Whether the environment forbids downloads."""
    forbidden = os.environ.get(OFFLINE_VARIABLES[0], "").lower()
    return forbidden not in ("", "0", "false", "no", "off") or download.is_offline()


def address(weight: WeightFile) -> str:
    """Where a file is fetched from; `HF_ENDPOINT` names a mirror of the hub, as elsewhere."""
    from huggingface_hub import constants  # noqa: PLC0415  (light, and needed for weights only)

    if not weight.repo:
        return weight.url
    return f"{constants.ENDPOINT}/{weight.repo}/resolve/{weight.revision}/{weight.path}"


def default_names() -> tuple[str, ...]:
    """Weights of the default variant of each metric of the score."""
    specs = (METRICS[name] for name in GROUPS["all"])
    return tuple(name for spec in specs for v in spec.variants[:1] for name in v.weights)


def find_file(weight: WeightFile, folder: Path) -> Path | None:
    """Where a file lies: in the folder, an installed package or a cache; None if it is missing."""
    places = [folder / weight.file]
    package, _, inside = weight.package.partition("/")
    found = find_spec(package) if package else None
    locations = found.submodule_search_locations if found else None
    places += [Path(location) / inside for location in locations or ()]
    if weight.repo:
        places += [copy / weight.path for copy in snapshots(weight.repo, weight.revision)]
    if weight.cached:
        places.append(Path(weight.cached.format(torch=torch_cache())).expanduser())
    return next((place for place in places if place.is_file()), None)


def state_of(weight: WeightFile, folder: Path) -> State:
    """Whether a file is there, and whether its content is the published one."""
    path = find_file(weight, folder)
    if path is None:
        return "missing"
    return "present" if content_sha256(path).startswith(weight.sha256) else "damaged"


def content_sha256(path: Path) -> str:
    """Hash of a weights file; a file is read once a process."""
    state = path.stat()
    return _content_sha256(path, state.st_size, state.st_mtime_ns)


@cache
def _content_sha256(path: Path, size: int, mtime_ns: int) -> str:
    return file_sha256(path)


def require(names: Iterable[str], folder: Path) -> dict[str, Path]:
    """Finds files, all or none.

    Args:
        names: Names in `WEIGHTS`.
        folder: The weights folder.

    Returns:
        Name -> path.

    Raises:
        UsageError: names every file that is missing or damaged, its address and its place.
    """
    wanted = [WEIGHTS[name] for name in dict.fromkeys(names)]
    problems = [
        _describe_problem(weight, folder, state)
        for weight in wanted
        if (state := state_of(weight, folder)) != "present"
    ]
    if problems:
        fetch = " ".join(w.name for w in wanted if state_of(w, folder) != "present")
        raise UsageError(
            "\n".join(
                (
                    f"{len(problems)} of {len(wanted)} weight files cannot be used",
                    *problems,
                    f"`drift weights fetch {fetch}` downloads them; `--metrics fast` needs none",
                )
            )
        )
    return {weight.name: _existing(weight, folder) for weight in wanted}


def _existing(weight: WeightFile, folder: Path) -> Path:
    path = find_file(weight, folder)
    assert path is not None, weight.name
    return path


def _describe_problem(weight: WeightFile, folder: Path, state: State) -> str:
    return (
        f"  {', '.join(weight.used_by)}: {folder / weight.file} is {state}; "
        f"{address(weight)} ({weight.size_mib:g} MiB, sha256 {weight.sha256})"
    )


def fetch(weight: WeightFile, folder: Path) -> Path:
    """Fetches one file and compares it with its published hash.

    Args:
        weight: File to fetch.
        folder: Folder that gets it; a file from the hub goes to the Hugging Face cache if nobody
            named a folder.

    Returns:
        Where it is.

    Raises:
        DownloadError: it cannot be fetched, or has another hash.
    """
    target = folder / weight.file
    if not weight.repo:
        download.fetch_url(weight.url, target, sha256=weight.sha256)
    else:
        target = download.fetch_from_hub(
            weight.repo,
            weight.path,
            revision=weight.revision,
            target=None if is_default(folder) else target,
        )
    download.check_content(target, "sha256", weight.sha256)
    if target != folder / weight.file:
        (folder / weight.file).unlink(
            missing_ok=True
        )  # the damaged one, which would be found first
    return target


def identities(paths: Mapping[str, Path]) -> dict[str, tuple[str, str]]:
    """File name and sha256 of each weight, for records and cache keys.

    Args:
        paths: Name in `WEIGHTS` -> where it lies.
    """
    return {name: (WEIGHTS[name].file, content_sha256(path)) for name, path in paths.items()}
