"""From settings to a stage that can run: networks, data, sharding and samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hiar.codecs.prompts import read_prompts
from hiar.errors import UsageError
from hiar.model.geometry import num_frames
from hiar.runtime.progress import Progress
from hiar.sampling.config import SamplerConfig
from hiar.tiny.preset import HELD_OUT_PROMPTS
from hiar.tiny.world import draw_scene
from hiar.training.run.networks import (
    EncodedTexts,
    default_teacher,
    encode_texts,
    load_encoder,
    load_network,
    load_vae,
    size_config,
    video_format,
    weights_fact,
)
from hiar.training.run.preview import Preview, make_preview
from hiar.training.run.sharding import is_sharded, mesh_of, shard_from_first
from hiar.training.stages.clips import ClipFile, encode_scenes, write_clips
from hiar.training.stages.ode_init import OdeInitStage
from hiar.training.stages.pretrain import PretrainStage
from hiar.training.stages.trajectory_files import TrajectoryFolder, prompts_of, read_index

if TYPE_CHECKING:
    from hiar.codecs.vae import VideoAutoencoder
    from hiar.model.transformer import CausalWan
    from hiar.runtime.ranks import Ranks
    from hiar.training.run.settings import TrainConfig
    from hiar.training.stages.distill import ReencodeFn
    from hiar.training.stages.stage import Stage

CLIPS = "clips.safetensors"


@dataclass(frozen=True)
class Prepared:
    """A stage, and a function that samples its product after a number of training steps."""

    stage: Stage
    preview: Callable[[int], Preview]


class Builder:
    """Builds the parts of one run.

    Args:
        config: Settings of the run.
        out: Folder of the run.
        ranks: This process among its peers.
        device: Device of this process.
    """

    def __init__(self, config: TrainConfig, out: Path, ranks: Ranks, device: torch.device) -> None:
        self.config, self.out, self.ranks, self.device = config, out, ranks, device
        self.encoder = cache(lambda: load_encoder(config.size))
        self._dtype = getattr(torch, config.dtype)

    def prepare(self) -> Prepared:
        """The stage and its preview."""
        makers = {
            "pretrain": self._pretrain, "ode-init": self._ode_init, "distill": self._distill,
        }  # fmt: skip
        stage = makers[self.config.stage]()
        return Prepared(stage, self._preview(stage))

    def facts(self) -> dict[str, Any]:
        """The settings that decide the weights, with the hashes of what they name."""
        config = self.config
        names = {"init": config.init, "teacher": config.teacher, "critic": config.critic}
        facts = config.facts()
        facts["weights"] = {
            name: weights_fact(value, config.seed) for name, value in names.items() if value
        }
        if config.trajectories:
            facts["trajectories_key"] = read_index(Path(config.trajectories))["key"]
        return facts

    def network(self, weights: str, size: str, *, trained: bool) -> CausalWan:
        """A network on the device, sharded over the processes if need be."""
        model = self._placed(weights, size, trained)
        model.checkpoint_activations = self.config.checkpoint_activations and trained
        return model.requires_grad_(trained)

    def _placed(self, weights: str, size: str, trained: bool) -> CausalWan:
        def load() -> CausalWan:
            return load_network(weights, size, seed=self.config.seed)

        if not is_sharded(self._dtype, self.ranks.num_ranks):
            return load().to(self.device)
        # A frozen network needs no float32 masters.
        kept = torch.float32 if trained else self._dtype
        return shard_from_first(
            load, size_config(size), self.ranks, mesh_of(self.device), dtype=self._dtype, kept=kept
        )

    def texts(self, prompts: list[str]) -> EncodedTexts:
        """Embeddings of prompts."""
        return encode_texts(prompts, self.encoder(), self.config.size)

    def trajectories(self, *, may_be_longer: bool = False) -> TrajectoryFolder:
        """The teacher's paths, checked against the run's shape.

        Args:
            may_be_longer: Whether they may have more latent frames than the run's videos.
        """
        config = self.config
        if not config.trajectories:
            raise UsageError(
                "trajectories is not set: make them with `hiar trajectories --out DIR` and give "
                "--set trajectories=DIR"
            )
        folder = Path(config.trajectories)
        found = TrajectoryFolder(folder, self.texts(prompts_of(folder)))
        wanted = (config.latent_frames, *self._latent_frame())
        longer = may_be_longer and found.shape[1] >= config.latent_frames
        if found.shape[1:] != wanted and not (longer and found.shape[2:] == wanted[1:]):
            raise UsageError(
                f"the trajectories at {folder} are of shape {list(found.shape[1:])}, this run is "
                f"of {list(wanted)} (latent frames, channels, height, width): make others, or set "
                "latent_frames and size to theirs"
            )
        return found

    def prompts(self) -> list[str]:
        """The prompts of the prompts file, or else of the trajectories."""
        config = self.config
        if config.prompts:
            return read_prompts(Path(config.prompts))
        if config.trajectories:
            return prompts_of(Path(config.trajectories))
        raise UsageError("prompts is not set: give --set prompts=FILE, one prompt a line")

    def _latent_frame(self) -> tuple[int, int, int]:
        config = size_config(self.config.size)
        return video_format(self.config.size).latent_shape(config.in_channels)

    def _pretrain(self) -> Stage:
        config = self.config
        clips = ClipFile(self._clips(), self.encoder())
        model = self.network(config.init, config.size, trained=True)
        return PretrainStage(model, clips, config.stage_config, seed=config.seed, ranks=self.ranks)

    def _clips(self) -> Path:
        """The file of clips; scenes of the tiny world are encoded once a run."""
        config = self.config
        if config.clips:
            return Path(config.clips)
        if config.size != "tiny":
            raise UsageError(
                f"clips is not set: size {config.size} needs --set clips=FILE.safetensors with "
                "latents [N, F, C, H, W], and FILE.json with their prompts"
            )
        path = self.out / CLIPS
        if self.ranks.is_first and not path.exists():
            rng = np.random.default_rng(config.seed + 2)
            scenes = [draw_scene(rng) for _ in range(config.num_clips)]
            latents = encode_scenes(
                load_vae(video_format("tiny")), scenes, num_frames(config.latent_frames),
                Progress("encoding clips"),
            )  # fmt: skip
            write_clips(path, latents, [scene.prompt for scene in scenes])
        self.ranks.wait()
        return path

    def _ode_init(self) -> Stage:
        config = self.config
        trajectories = self.trajectories()
        student = self.network(config.init, config.size, trained=True)
        return OdeInitStage(
            student, trajectories, config.stage_config, seed=config.seed, ranks=self.ranks
        )

    def _distill(self) -> Stage:
        from hiar.training.stages.distill import DistillStage  # noqa: PLC0415

        config = self.config
        teacher_size = config.teacher_size or config.size
        teacher = config.teacher or default_teacher(teacher_size)
        critic = config.critic or (teacher if teacher_size == config.size else config.init)
        stage = config.stage_config
        uses_data = stage.student_input == "data"
        if uses_data and config.prompts:
            raise UsageError(
                f"prompts={config.prompts}: with distill.student_input=data the prompts are those "
                "of the trajectories; leave prompts out"
            )
        wants_paths = stage.forward_kl is not None or uses_data
        return DistillStage(
            self.network(config.init, config.size, trained=True),
            self.network(teacher, teacher_size, trained=False),
            self.network(critic, config.size, trained=True),
            self.texts(self.prompts()),
            self.trajectories(may_be_longer=True) if wants_paths else None,
            stage,
            latent_shape=(config.latent_frames, *self._latent_frame()),
            seed=config.seed, ranks=self.ranks, reencode_first=self._reencode(),
        )  # fmt: skip

    def _reencode(self) -> ReencodeFn | None:
        """How a long rollout's last part is encoded anew; None if rollouts are never long."""
        if self.config.stage_config.max_rollout_frames is None:
            return None
        vae = load_vae(video_format(self.config.size)).to(self.device)
        return partial(reencode_first, vae)

    def _preview(self, stage: Stage) -> Callable[[int], Preview]:
        config = self.config
        product: Any = stage.models[stage.product]
        own = getattr(config.stage_config, "sampler", None)
        sampler = own or SamplerConfig(frames_per_block=config.frames_per_block)
        form = video_format(config.size)
        vae = cache(lambda: load_vae(form))

        def preview(step: int) -> Preview:
            del step  # the same prompts and noise at every step
            known = read_prompts(HELD_OUT_PROMPTS) if config.size == "tiny" else self.prompts()
            prompts = known[: config.run.sample_prompts]
            return make_preview(
                product, vae(), self.texts(prompts), prompts, sampler,
                (config.run.sample_latent_frames, *self._latent_frame()), fps=form.fps,
            )  # fmt: skip

        return preview


def reencode_first(autoencoder: VideoAutoencoder, latents: torch.Tensor) -> torch.Tensor:
    """The last frame of videos encoded anew as a first one: [B, n, C, H, W] -> [B, 1, C, H, W]."""
    frames = autoencoder.decode(latents.float())[:, :, -1:]
    return autoencoder.encode(frames.clamp(-1, 1)).to(latents)
