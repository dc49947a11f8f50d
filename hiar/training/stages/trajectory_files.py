"""Teacher trajectories on disk: shards of a few dozen, and an index of the finished folder.

    DIR/settings.json          settings of the folder; a run with other settings is refused
    DIR/shard-00000.safetensors   latents [n, K + 1, F, C, H, W]
    DIR/index.json             written last: schema, settings, key, levels, shape, prompts, shards

A shard is the unit of work and of resumption. Its batches are formed before shards are shared out
over processes, so the files do not depend on how many there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from hiar.errors import UsageError
from hiar.runtime.files import atomic_write_text
from hiar.runtime.folder_settings import claim
from hiar.runtime.provenance import provenance
from hiar.runtime.ranks import Ranks
from hiar.sampling.noise import keyed_noise
from hiar.training.data import Texts, TrajectoryBatch
from hiar.training.trajectories import OdeConfig, sample_trajectory
from hiar.weights.tensor_files import write_tensors

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.runtime.progress import Progress

SCHEMA = "hiar-trajectories/1"
INDEX, SETTINGS = "index.json", "settings.json"
DTYPES = {"float32": torch.float32, "float16": torch.float16}
"""A chord over sigmas 0.04 apart magnifies rounding 25 times: bfloat16 would leave 10 % noise."""


@dataclass(frozen=True, kw_only=True)
class TrajectoryPlan:
    """Settings of a folder of trajectories.

    Attributes:
        ode: Steps, guidance and saved points of the teacher's path.
        prompts: The prompts; trajectory i belongs to prompt i // samples.
        samples: Trajectories a prompt.
        latent_shape: (F, C, H, W) of each video.
        negative_prompt: Prompt that guidance leads away from.
        model: Name and sha256 of the teacher and of what encodes text.
        seed: Seed of the noise.
        shard_size: Trajectories a file.
        batch_size: Trajectories sampled together; changes rounding only.
        dtype: Data type of the stored latents, a key of `DTYPES`.
    """

    ode: OdeConfig
    prompts: tuple[str, ...]
    samples: int = 1
    latent_shape: tuple[int, int, int, int]
    negative_prompt: str = ""
    model: dict[str, str]
    seed: int = 0
    shard_size: int = 32
    batch_size: int = 8
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not self.prompts:
            raise UsageError("there are 0 prompts: give at least one")
        for name in ("samples", "shard_size", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} must be at least 1")
        if self.dtype not in DTYPES:
            raise UsageError(f"dtype {self.dtype!r} is unknown: use one of {', '.join(DTYPES)}")

    def __len__(self) -> int:
        """Number of trajectories."""
        return len(self.prompts) * self.samples

    def facts(self) -> dict[str, Any]:
        """The settings that decide the content, as JSON; prompts by their hash."""
        facts = asdict(replace(self, prompts=("",))) | {"ode": asdict(self.ode)}
        text = "\n".join(self.prompts)
        facts["prompts"] = (
            f"{len(self.prompts)}, sha256 {hashlib.sha256(text.encode()).hexdigest()}"
        )
        found: dict[str, Any] = json.loads(json.dumps(facts))
        return found

    @property
    def key(self) -> str:
        """Hash of the facts, in every shard."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one trajectory: (K + 1, F, C, H, W)."""
        return (len(self.ode.saved), *self.latent_shape)

    def shards(self) -> list[range]:
        """The trajectories of each file."""
        starts = range(0, len(self), self.shard_size)
        return [range(start, min(start + self.shard_size, len(self))) for start in starts]

    def batches(self, shard: range) -> list[range]:
        """The trajectories of a shard that are sampled together."""
        return [shard[i : i + self.batch_size] for i in range(0, len(shard), self.batch_size)]


def write_trajectories(
    plan: TrajectoryPlan,
    out: Path,
    model: CausalWan,
    texts: Texts,
    progress: Progress,
    ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
) -> dict[str, Any]:
    """Make every shard that is not there yet, then the index.

    Args:
        plan: Settings of the folder.
        out: Folder to write.
        model: The teacher.
        texts: Embeddings of the plan's prompts.
        progress: Progress display; one `advance` an Euler step of a batch.
        ranks: This process among those that share the shards.

    Returns:
        The index, also written to `out/index.json`, with the counts of made and found shards.

    Raises:
        UsageError: If the folder was begun with other settings; they are named.
    """
    if ranks.is_first:
        claim(out / SETTINGS, plan.facts())
    ranks.wait()
    shards = plan.shards()
    pending = ranks.from_first([
        number for number, shard in enumerate(shards) if not is_done(plan, out, number, shard)
    ])  # fmt: skip
    own = ranks.share(pending)
    progress.start(plan.ode.steps * sum(len(plan.batches(shards[number])) for number in own))
    for number in own:
        write_shard(plan, out, number, shards[number], model, texts, progress)
    progress.finish()
    ranks.wait()
    index = {
        "schema": SCHEMA,
        "key": plan.key,
        "settings": plan.facts(),
        "sigmas": plan.ode.saved_sigmas.tolist(),
        "shape": list(plan.shape),
        "num_trajectories": len(plan),
        "prompts": list(plan.prompts),
        "shards": [{"file": shard_name(i), "count": len(s)} for i, s in enumerate(shards)],
        "provenance": provenance(str(model.device)),
    }
    if ranks.is_first:
        atomic_write_text(out / INDEX, json.dumps(index, indent=1, ensure_ascii=False) + "\n")
    ranks.wait()
    return index | {"made": len(pending), "already_there": len(shards) - len(pending)}


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.safetensors"


def is_done(plan: TrajectoryPlan, out: Path, number: int, shard: range) -> bool:
    """Whether a shard is there, whole, and of this plan."""
    try:
        with safe_open(out / shard_name(number), framework="pt") as file:
            shape = tuple(file.get_slice("latents").get_shape())
            return (file.metadata() or {}).get("key") == plan.key and shape == (
                len(shard), *plan.shape,
            )  # fmt: skip
    except (FileNotFoundError, SafetensorError):
        return False


def write_shard(
    plan: TrajectoryPlan, out: Path, number: int, shard: range, model: CausalWan, texts: Texts,
    progress: Progress,
) -> None:  # fmt: skip
    """Sample and write one shard."""
    parts = []
    for batch in plan.batches(shard):
        noise = torch.stack([
            keyed_noise(plan.latent_shape, seed=plan.seed, prompt_index=index, block=0, step=0)
            for index in batch
        ])  # fmt: skip
        points = sample_trajectory(
            model, noise.to(model.device),
            texts.read([index // plan.samples for index in batch]).to(model.device),
            texts.empty().to(model.device), plan.ode, on_step=progress.advance,
        )  # fmt: skip
        parts.append(points.to("cpu", DTYPES[plan.dtype]))
    write_tensors(out / shard_name(number), {"latents": torch.cat(parts)}, {"key": plan.key})


class TrajectoryFolder:
    """Reads trajectories in any order; the whole folder is checked before the first.

    Args:
        folder: Folder made by `hiar trajectories`.
        texts: Embeddings of the folder's prompts, `prompts_of(folder)`.

    Raises:
        UsageError: If the folder is unfinished, or a shard is missing, short or of another shape.
    """

    def __init__(self, folder: Path, texts: Texts) -> None:
        index = read_index(folder)
        self._folder, self._texts = folder, texts
        self.settings: dict[str, Any] = index["settings"]
        self.key: str = index["key"]
        self.sigmas = torch.tensor(index["sigmas"], dtype=torch.float32)
        self.shape: tuple[int, ...] = tuple(index["shape"])
        self._places: list[tuple[str, int]] = []
        for shard in index["shards"]:
            _check_shard(folder / shard["file"], (shard["count"], *self.shape), self.key)
            self._places += [(shard["file"], row) for row in range(shard["count"])]
        self._samples = int(self.settings["samples"])

    def __len__(self) -> int:
        """Number of trajectories."""
        return len(self._places)

    def read(self, indices: Sequence[int]) -> TrajectoryBatch:
        """The trajectories with these indices, in this order."""
        latents = []
        for index in indices:
            name, row = self._places[index]
            with safe_open(self._folder / name, framework="pt") as file:
                latents.append(file.get_slice("latents")[row].float())
        text = self._texts.read([index // self._samples for index in indices])
        return TrajectoryBatch(latents=torch.stack(latents), sigmas=self.sigmas, text=text)


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a folder of trajectories.

    Raises:
        UsageError: If there is none, or it is of another kind.
    """
    path = folder / INDEX
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        begun = (folder / SETTINGS).exists()
        raise UsageError(
            f"{folder} is unfinished: run the same `hiar trajectories` again"
            if begun
            else f"no trajectories at {folder}: make them with `hiar trajectories --out {folder}`"
        ) from None
    except (OSError, ValueError):
        raise UsageError(f"{path} is damaged: run `hiar trajectories` again") from None
    if index.get("schema") != SCHEMA:
        raise UsageError(f"{path} has schema {index.get('schema')!r}: this reads {SCHEMA}")
    return index


def prompts_of(folder: Path) -> list[str]:
    """The prompts of a folder of trajectories."""
    return list(read_index(folder)["prompts"])


def _check_shard(path: Path, shape: tuple[int, ...], key: str) -> None:
    remedy = "remove it and run the same `hiar trajectories` again"
    try:
        with safe_open(path, framework="pt") as file:
            found = tuple(file.get_slice("latents").get_shape())
            found_key = (file.metadata() or {}).get("key")
    except FileNotFoundError:
        raise UsageError(f"the trajectory shard {path} is missing: {remedy}") from None
    except SafetensorError as error:
        raise UsageError(
            f"the trajectory shard {path} is short or damaged ({error}): {remedy}"
        ) from None
    if found != shape:
        raise UsageError(
            f"the trajectory shard {path} has shape {list(found)}, its index says {list(shape)}: "
            f"{remedy}"
        )
    if found_key != key:
        raise UsageError(f"the trajectory shard {path} is of another run than its index: {remedy}")
