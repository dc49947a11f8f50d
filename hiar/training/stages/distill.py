"""The stage that distils a step-first student: its own rollouts, DMD, and the forward-KL term.

Three networks: the student, the teacher (real score, frozen) and the critic (fake score), which
follows the student by flow matching on its videos. Every step trains the critic, every fifth the
student as well. Source: HiAR release (2026-06-19), trainer and model/dmd.py; the paper, Sec. 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks
from hiar.runtime.ranks import Ranks
from hiar.training.data import Texts, Trajectories, TrajectoryBatch
from hiar.training.draws import Role, RolloutDraws
from hiar.training.ema import WeightEma
from hiar.training.forward_kl import trajectory_loss
from hiar.training.keyed import data_indices, keyed_integer
from hiar.training.losses import critic_loss, dmd_loss
from hiar.training.optimise import new_adamw, optimizer_step
from hiar.training.rollout import predict_from_data, rollout_with_exit
from hiar.training.scores import (
    noise_for_score,
    predict_flow,
    predict_guided_x0,
    predict_x0,
    score_timesteps,
)
from hiar.training.stages.one_network import parts
from hiar.training.stages.stage import EMA_KEY, check_batch

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.training.recipes import DistillConfig

ReencodeFn = Callable[[torch.Tensor], torch.Tensor]
"""From a video's first latents [B, n, C, H, W] to their last frame, encoded as a first one."""


class DistillStage:
    """Distillation by self-rollout.

    A rollout's exit step and length are drawn once for each training step and role, for all samples
    and processes: sharded networks must be called equally often everywhere.

    Args:
        student: The student, with the weights of the ODE-initialised model; its parameters get
            gradients.
        teacher: The real score, bidirectional; frozen here.
        critic: The fake score, with the weights of the teacher or of a smaller one; its parameters
            get gradients.
        texts: Prompts.
        trajectories: The teacher's paths, for the forward-KL term and as data; None where neither
            is wanted. They may be longer than the rollouts: the term takes them whole, and of data
            the first frames count. As data, they are of the prompts of `texts`, in the same order.
        config: Settings of the run.
        latent_shape: (F, C, H, W) of a training video.
        seed: Seed of every draw.
        ranks: This process among those that share a step's samples.
        reencode_first: Function that makes the first latent frame of a long rollout's last part
            an encoded picture, as the teacher expects; None leaves it as the student made it.
    """

    product = "student"

    def __init__(
        self,
        student: CausalWan,
        teacher: CausalWan,
        critic: CausalWan,
        texts: Texts,
        trajectories: Trajectories | None,
        config: DistillConfig,
        *,
        latent_shape: Sequence[int],
        seed: int,
        ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
        reencode_first: ReencodeFn | None = None,
    ) -> None:
        _check(config, latent_shape, trajectories, ranks)
        if config.student_input == "data" and len(texts) != len(trajectories or ()):
            raise UsageError(
                f"{len(trajectories or ())} trajectories of {len(texts)} prompts: student_input "
                "'data' wants one a prompt; make them with `hiar trajectories --samples 1`"
            )
        self.student, self.teacher, self.critic = student, teacher, critic
        self.texts, self.trajectories, self.config = texts, trajectories, config
        self.seed, self.reencode_first = seed, reencode_first
        self.num_frames, self.frame_shape = latent_shape[0], tuple(latent_shape[1:])
        teacher.requires_grad_(False)
        self.models = {"student": student, "teacher": teacher, "critic": critic}
        self.optimisers = {
            "student": _optimiser(student, config.learning_rate, config),
            "critic": _optimiser(critic, config.critic_learning_rate, config),
        }
        self._samples = ranks.share(range(config.batch_size))
        self._ema = None
        if config.ema_decay:
            self._ema = WeightEma(student, decay=config.ema_decay, start_step=config.ema_start)

    def run_step(self, step: int) -> Mapping[str, float]:
        """One step of the critic, and before it one of the student if it is due."""
        metrics: dict[str, float] = {}
        if step % self.config.generator_every == 0:
            metrics |= self.train_student(step)
        return metrics | self.train_critic(step)

    def extra_state(self) -> dict[str, Any]:
        """The EMA of the student's weights."""
        return {} if self._ema is None else {EMA_KEY: self._ema.state()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `extra_state` returned."""
        if self._ema is not None:
            self._ema.load(state[EMA_KEY])

    def student_loss(
        self, step: int, samples: Sequence[int]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Mean DMD loss over some samples of a step, with its graph, and metrics to log."""
        draws = self.draws("student", step, samples)
        x0, mask = self._predict(draws)
        noised, timesteps, _ = self._noised(x0.detach(), draws)
        with torch.no_grad():
            real = predict_guided_x0(
                self.teacher, noised, timesteps, draws.text,
                self.texts.empty().to(x0.device), self.config.guidance,
            )  # fmt: skip
            fake = predict_x0(self.critic, noised, timesteps, draws.text)
        loss, grad = dmd_loss(x0, real, fake, mask=mask)
        size = grad.abs().mean().item()
        found = {"dmd_loss": loss.item(), "dmd_gradient": size}
        if self.config.student_input == "rollout":
            found["exit_step"] = draws.exit_step
        return loss, found

    def forward_kl(self, step: int, samples: Sequence[int]) -> torch.Tensor:
        """Mean forward-KL term over some samples of a step, unweighted, with its graph."""
        term, trajectories = self.config.forward_kl, self.trajectories
        assert term is not None
        assert trajectories is not None
        rows = data_indices(
            len(trajectories), seed=self.seed, step=step // self.config.generator_every,
            batch_size=self.config.batch_size, samples=samples, purpose="trajectories",
        )  # fmt: skip
        batch, device = trajectories.read(rows), self.student.device
        moved = TrajectoryBatch(
            latents=batch.latents.to(device), sigmas=batch.sigmas, text=batch.text.to(device)
        )
        chosen = [
            keyed_integer(term.steps, seed=self.seed, step=step, sample=sample, purpose="fkl step")
            for sample in samples
        ]
        return trajectory_loss(
            self.student, moved, chosen, term, frames_per_block=self.config.sampler.frames_per_block
        )

    def critic_loss(self, step: int, samples: Sequence[int]) -> torch.Tensor:
        """Mean flow-matching loss of the critic over some samples of a step, with its graph."""
        draws = self.draws("critic", step, samples)
        with torch.no_grad():
            x0, _ = self._predict(draws)
        noised, timesteps, noise = self._noised(x0, draws)
        flow = predict_flow(
            self.critic, noised, timesteps, draws.text, shift=self.config.sampler.shift
        )
        return critic_loss(flow, noise, x0)

    def train_student(self, step: int) -> dict[str, float]:
        """One optimiser step of the student on a whole batch; metrics by name."""
        metrics: dict[str, float] = {}
        for samples, share in self._micro_batches():
            loss, found = self.student_loss(step, samples)
            (loss * share).backward()
            _add(metrics, found, share)
        metrics["student_loss"] = metrics["dmd_loss"]
        if self.config.forward_kl is not None:
            weight = self.config.forward_kl.weight
            for samples, share in self._micro_batches():
                term = self.forward_kl(step, samples)
                (term * (weight * share)).backward()
                _add(metrics, {"forward_kl_loss": term.item()}, share)
            metrics["student_loss"] += weight * metrics["forward_kl_loss"]
        metrics["student_gradient_norm"] = optimizer_step(
            self.optimisers["student"],
            learning_rate=self.config.learning_rate, clip_norm=self.config.clip_norm,
        )  # fmt: skip
        if self._ema is not None:
            self._ema.update(step)
        return metrics

    def train_critic(self, step: int) -> dict[str, float]:
        """One optimiser step of the critic on a whole batch; metrics by name."""
        metrics: dict[str, float] = {}
        for samples, share in self._micro_batches():
            loss = self.critic_loss(step, samples)
            (loss * share).backward()
            _add(metrics, {"critic_loss": loss.item()}, share)
        metrics["critic_gradient_norm"] = optimizer_step(
            self.optimisers["critic"],
            learning_rate=self.config.critic_learning_rate, clip_norm=self.config.clip_norm,
        )  # fmt: skip
        return metrics

    def _micro_batches(self) -> Iterator[tuple[Sequence[int], float]]:
        """This process's samples in micro-batches, each with its share of all of them."""
        for samples in parts(self._samples, self.config.micro_batch):
            yield samples, len(samples) / len(self._samples)

    def draws(self, role: Role, step: int, samples: Sequence[int]) -> RolloutDraws:
        """The random numbers of some samples of a step."""
        return RolloutDraws(
            self.config, self.texts, (self.num_frames, *self.frame_shape),
            seed=self.seed, role=role, step=step, samples=samples, device=self.student.device,
        )  # fmt: skip

    def _predict(self, draws: RolloutDraws) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The student's predictions [B, F, C, H, W], and a mask of those that count, None for all.

        Prompts and trajectories are in one order, so a prompt's row is that of its trajectory.
        """
        if self.config.student_input == "rollout":
            return self._rollout(draws)
        assert self.trajectories is not None
        latents = self.trajectories.read(draws.rows).latents
        clean = latents[:, -1, : self.num_frames].to(self.student.device)
        config = self.config.sampler
        steps = draws.steps_of_blocks(len(config.steps))
        x0 = predict_from_data(self.student, draws.text, clean, draws.noise, steps, config)
        return x0, None

    def _rollout(self, draws: RolloutDraws) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The student's predictions at the exit step, and a mask of the values that count.

        The last frames of a longer rollout are kept. Their first block depends on context that the
        teacher does not see, so it does not count. The mask is None if all values count.
        """
        x0 = rollout_with_exit(
            self.student, draws.text, draws.noise, self.config.sampler, draws.exit_step,
            renoise=draws.renoise,
            cache_gradient=self.config.cache_gradient,
            gradient_frames=self.num_frames,
            noised_clean_context=self.config.noised_clean_context,
        )  # fmt: skip
        cut = x0.shape[1] - self.num_frames
        if not cut:
            return x0, None
        kept = x0[:, cut:]
        if self.reencode_first is not None:
            with torch.no_grad():
                first = self.reencode_first(x0[:, : cut + 1])
            kept = torch.cat((first.to(kept), kept[:, 1:]), dim=1)
        counts = torch.arange(self.num_frames, device=x0.device)
        return kept, (counts >= self.config.sampler.frames_per_block)[:, None, None, None]

    def _noised(
        self, x0: torch.Tensor, draws: RolloutDraws
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Videos with noise at a level drawn for each; their timesteps [B]; and the noise."""
        shift = self.config.sampler.shift
        timesteps = score_timesteps(draws.uniform(), shift=shift)
        noise = draws.normal(x0.shape[1:], "score noise")
        return noise_for_score(x0, noise, timesteps, shift=shift), timesteps, noise


def _optimiser(
    model: CausalWan, learning_rate: float, config: DistillConfig
) -> torch.optim.Optimizer:
    return new_adamw(
        model, learning_rate=learning_rate, betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
    )  # fmt: skip


def _add(metrics: dict[str, float], found: Mapping[str, float], share: float) -> None:
    """Add a micro-batch's share of each mean to the metrics."""
    for name, value in found.items():
        metrics[name] = metrics.get(name, 0.0) + share * value


def _check(
    config: DistillConfig,
    latent_shape: Sequence[int],
    trajectories: Trajectories | None,
    ranks: Ranks,
) -> None:
    if len(latent_shape) != 4:
        raise UsageError(f"latent_shape {tuple(latent_shape)} must be (F, C, H, W)")
    frames, size = latent_shape[0], config.sampler.frames_per_block
    num_blocks(frames, size)
    longest = config.max_rollout_frames
    if longest is not None and (longest < frames or longest % size):
        raise UsageError(
            f"max_rollout_frames {longest} must be whole blocks of {size}, at least the training "
            f"length, {frames}"
        )
    check_batch(config.batch_size, ranks.num_ranks)
    if trajectories is None and (config.forward_kl or config.student_input == "data"):
        raise UsageError(
            "the forward-KL term and student_input 'data' need trajectories of the teacher: make "
            "them with `hiar trajectories`, or leave both out"
        )
    if config.student_input == "data" and longest is not None:
        raise UsageError(
            f"max_rollout_frames {longest}: student_input 'data' has no rollout; leave it out"
        )
    if config.forward_kl is None or trajectories is None:
        return
    available = len(trajectories.sigmas) - 1
    if config.forward_kl.steps > available:
        raise UsageError(
            f"forward-KL steps {config.forward_kl.steps}: the trajectories have {available}"
        )
