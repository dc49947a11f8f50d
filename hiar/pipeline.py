"""Text to pictures: text encoder, transformer, sampler and VAE behind one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from hiar.codecs.frames import (
    OutputType,
    check_output_type,
    fit_picture,
    fit_video,
    join,
    to_output,
)
from hiar.codecs.text_cache import CachedTextEncoder
from hiar.codecs.vae import VideoAutoencoder, from_uint8, named_memory_error
from hiar.codecs.wan_decoder.staged import StagedDecoder
from hiar.errors import UsageError
from hiar.loading import load_parts
from hiar.model.geometry import num_blocks, num_latent_frames, token_grid
from hiar.runtime.device import check_device
from hiar.runtime.prefetch import sampled_ahead
from hiar.sampling.config import SamplerConfig
from hiar.sampling.noise import initial_noise
from hiar.sampling.pipelined.stream import stream_pipelined
from hiar.sampling.sampler import sample_latents, stream_latents
from hiar.sampling.sigmas import denoising_steps
from hiar.weights.releases import DEFAULT_SAMPLER, VAE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from hiar.codecs.text import PromptEncoder
    from hiar.codecs.tiny_decoder import TinyDecoder
    from hiar.model.transformer import CausalWan
    from hiar.sampling.cells import OnCell
    from hiar.sampling.pipelined.group import PipelineGroup
    from hiar.sampling.schedule import Cell

    Picture = Image | NDArray[np.uint8]
    StepCallback = Callable[["HiARPipeline", int, float, dict[str, Any]], object]


@dataclass(frozen=True)
class PipelineOutput:
    """Videos: `frames[i]` is that of prompt i, of the type asked for."""

    frames: Any


class HiARPipeline:
    """A text-to-video model with the manners of a diffusers pipeline.

    Args:
        transformer: Predicts the flow.
        text_encoder: Embeds prompts.
        autoencoder: Decodes latents.
        name: Name of the model, for results.
        size_px: (height, width) of the videos.
        fps: Frames a second.
        weights: SHA-256 of each part's weights, for results.
        sampler: Settings used where a call gives none.
        decoder: Turns latents to pictures in place of the autoencoder, such as a `TinyDecoder`.
    """

    def __init__(
        self,
        *,
        transformer: CausalWan,
        text_encoder: PromptEncoder,
        autoencoder: VideoAutoencoder,
        name: str,
        size_px: tuple[int, int],
        fps: int,
        weights: dict[str, str],
        sampler: SamplerConfig = DEFAULT_SAMPLER,
        decoder: TinyDecoder | None = None,
    ) -> None:
        self.transformer = transformer
        self.text_encoder = text_encoder
        self.autoencoder = autoencoder
        self.decoder: VideoAutoencoder | TinyDecoder = autoencoder if decoder is None else decoder
        self.name = name
        self.size_px = size_px
        self.fps = fps
        self.weights = weights
        self.sampler = sampler
        self.device = transformer.device
        self.group: PipelineGroup | None = None
        """Processes that share the steps of a stream; the last one gets the clean blocks."""
        self.staged: StagedDecoder | None = None
        """This process's share of the decoder, where several share it."""
        self._offloads = False

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        transformer: str | Path | None = None,
        torch_dtype: torch.dtype | str = torch.float32,
        device: torch.device | str = "cpu",
        size_px: tuple[int, int] | None = None,
        decoder: str | Path = VAE,
    ) -> HiARPipeline:
        """Load a model; nothing is downloaded.

        Args:
            name_or_path: `tiny` (ships with the package), a release such as `hiar` or
                `self-forcing` (`hiar weights list`), or a folder in diffusers' layout.
            transformer: Other transformer weights of the same sizes.
            torch_dtype: Dtype of the transformer, or its name; the VAE stays float32.
            device: Where the networks go.
            size_px: (height, width) of the videos; None is what the model was trained at.
            decoder: `vae`, `tiny-decoder` (TAEHV: coarser pictures, far faster), or the file of
                the latter's weights.

        Returns:
            The pipeline.

        Raises:
            UsageError: For an unknown name, or weights that are missing or do not fit.
        """
        check_device(str(device))
        dtype = getattr(torch, torch_dtype) if isinstance(torch_dtype, str) else torch_dtype
        other = None if transformer is None else Path(transformer)
        parts = vars(
            load_parts(name_or_path, transformer=other, dtype=dtype, device=device, decoder=decoder)
        )
        pipeline = cls(**parts | ({} if size_px is None else {"size_px": size_px}))
        token_grid(*pipeline.latent_shape[1:], pipeline.transformer.config.patch_size)
        return pipeline

    def to(self, device: torch.device | str) -> Self:
        """Move the networks."""
        check_device(str(device))
        self.device = torch.device(device)
        self._move(self.device)
        return self

    def enable_model_cpu_offload(self) -> None:
        """Keep only the network at work on the device, the others in the CPU's memory.

        A video is then sampled to its end before the first frame is decoded; a stream without
        end keeps the transformer on the device while frames are decoded.
        """
        self._offloads = True
        self._move("cpu")

    def _move(self, device: torch.device | str) -> None:
        for network in dict.fromkeys((self.transformer, self.autoencoder, self.decoder)):
            network.to(device)

    def share_steps(self, group: PipelineGroup) -> None:
        """Sample with other processes, of which the last ones may share the decoder.

        Raises:
            UsageError: If a decoder is to be shared that is not the VAE.
        """
        self.group = group
        if group.decoder_ranks and self.decoder is not self.autoencoder:
            raise UsageError("--decoder-ranks shares the VAE only: leave --decoder out")
        if group.decoder_stage is not None:
            self.staged = StagedDecoder(self.autoencoder, group)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a latent frame."""
        return (self.autoencoder.latent_channels, *self.autoencoder.latent_size(*self.size_px))

    def encode_ahead(self, prompts: Sequence[str]) -> list[int]:
        """Count the tokens of each prompt, and encode all if embeddings are kept on disk.

        The encoder's memory is then freed: what comes after reads the embeddings.
        """
        counts = [self.text_encoder.num_tokens(prompt) for prompt in prompts]
        if isinstance(self.text_encoder, CachedTextEncoder):
            self.text_encoder.release()
        return counts

    def encode_initial(
        self, image: Picture | None = None, video: Sequence[Image] | NDArray[np.uint8] | None = None
    ) -> torch.Tensor | None:
        """Latents [1, F0, C, H, W] of a picture, or of a video to continue; None for neither.

        Pictures are scaled to cover the video's size and cut to their middle. The VAE takes
        4 k + 1 frames: of a longer video, up to three first ones are left out.
        """
        if image is not None and video is not None:
            raise UsageError("image and video are both given: begin with one of them")
        if image is None and video is None:
            return None
        pixels = (
            fit_picture(image, self.size_px)[None]
            if image is not None
            else fit_video(video if video is not None else [], self.size_px)
        )
        with self._at_work(self.autoencoder):
            return self.autoencoder.encode(from_uint8(pixels))

    def sample(
        self,
        prompts: Sequence[str],
        config: SamplerConfig,
        *,
        latent_frames: int,
        seed: int = 0,
        prompt_indices: Sequence[int] | None = None,
        initial_latents: torch.Tensor | None = None,
        on_cell: OnCell | None = None,
    ) -> torch.Tensor:
        """Sample latents for prompts in one batch.

        Args:
            prompts: Texts.
            config: Settings of the sampler.
            latent_frames: Latent frames of each video, whole blocks after the initial ones.
            seed: Seed of the noise.
            prompt_indices: Noise key of each prompt; None counts from 0.
            initial_latents: Latents [B or 1, F0, C, H, W] that the videos begin with.
            on_cell: Called after each (step, block) with its latents.

        Returns:
            Latents [B, F, C, H, W], float32, the initial ones first.
        """
        indices = list(range(len(prompts)) if prompt_indices is None else prompt_indices)
        size = config.frames_per_block
        given = 0 if initial_latents is None else initial_latents.shape[1]
        noise = initial_noise(
            len(prompts), num_blocks(latent_frames, size, initial=given),
            (size, *self.latent_shape), seed=seed, prompt_indices=indices,
        )  # fmt: skip
        text = self.text_encoder.encode(list(prompts))
        with self._at_work(self.transformer):
            return sample_latents(
                self.transformer, text, noise.to(self.device), config, seed=seed,
                prompt_index=indices, initial_latents=initial_latents, on_cell=on_cell,
            )  # fmt: skip

    def stream_blocks(
        self,
        prompts: Sequence[str],
        config: SamplerConfig,
        *,
        latent_frames: int | None,
        seed: int = 0,
        prompt_indices: Sequence[int] | None = None,
        initial_latents: torch.Tensor | None = None,
        on_cell: OnCell | None = None,
    ) -> Iterator[torch.Tensor]:
        """The latents of `sample` piece by piece: given ones first, then blocks as they finish.

        An order that finishes no block before its last sweep, and offloading, sample all first.
        With `latent_frames=None` there is no end.
        """
        indices = list(range(len(prompts)) if prompt_indices is None else prompt_indices)
        given = 0 if initial_latents is None else initial_latents.shape[1]
        if initial_latents is not None:
            yield initial_latents.expand(len(prompts), -1, -1, -1, -1).to(self.device)
        size = config.frames_per_block
        if latent_frames is not None and (config.order == "step_first" or self._offloads):
            whole = self.sample(
                prompts, config, latent_frames=latent_frames, seed=seed, prompt_indices=indices,
                initial_latents=initial_latents, on_cell=on_cell,
            )  # fmt: skip
            yield from whole[:, given:].split(size, dim=1)
            return
        blocks = None if latent_frames is None else num_blocks(latent_frames, size, initial=given)
        text = self.text_encoder.encode(list(prompts))
        stream = stream_latents
        if self.group is not None:
            stream = partial(stream_pipelined, group=self.group)
        with self._at_work(self.transformer):
            for _, latents in stream(
                self.transformer, text, config, latent_shape=self.latent_shape, num_blocks=blocks,
                seed=seed, prompt_index=indices, initial_latents=initial_latents, on_cell=on_cell,
            ):  # fmt: skip
                yield latents

    def sampled_ahead(self, blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """The same latents; the next ones are sampled while one is decoded.

        On a GPU sampling and decoding have a stream each. One CPU has no room for both, unless
        other processes share the sampling. With offloading only one network is on the GPU.
        """
        if self._offloads:
            return iter(blocks)
        return sampled_ahead(blocks, self.device, on_cpu=self.group is not None)

    def decode_blocks(self, blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Decode latents [B, f, C, H, W] as they come to float video [B, 3, T, H, W] in [-1, 1].

        Raises:
            UsageError: If the GPU's memory is too small.
        """
        decoder = (self.staged or self.decoder).stream()
        for latents in blocks:
            with self._at_work(self.decoder), named_memory_error():
                video = decoder.decode_block(latents)
            yield video

    def decode(self, latents: torch.Tensor) -> list[NDArray[np.uint8]]:
        """Decode latents [B, F, C, H, W] to videos, uint8 RGB (T, H, W, 3)."""
        with self._at_work(self.decoder):
            return list(to_output(self.decoder.decode(latents), "uint8"))

    def __call__(
        self,
        prompt: str | Sequence[str],
        num_frames: int = 321,
        *,
        negative_prompt: str | Sequence[str] | None = None,
        image: Picture | None = None,
        video: Sequence[Image] | NDArray[np.uint8] | None = None,
        initial_latents: torch.Tensor | None = None,
        seed: int = 0,
        generator: torch.Generator | None = None,
        config: SamplerConfig | None = None,
        output_type: OutputType = "np",
        callback_on_step_end: StepCallback | None = None,
    ) -> PipelineOutput:
        """Make videos.

        Args:
            prompt: One text or several.
            num_frames: Frames of each video, given ones included; rounded up to whole blocks,
                then cut.
            negative_prompt: Not used: the distilled models run without guidance.
            image: A picture to begin with.
            video: Frames to continue.
            initial_latents: Latents [B or 1, F0, C, H, W] to begin with, instead of pictures.
            seed: Seed of the noise.
            generator: Draws the seed instead: each call gives another video.
            config: Settings of the sampler; None takes the model's own.
            output_type: `np` float (B, T, H, W, 3) in [0, 1], `pt` [B, T, 3, H, W] in [0, 1],
                `pil` lists of pictures, `uint8` (B, T, H, W, 3), `latent` [B, F, C, H, W].
            callback_on_step_end: Called as (pipeline, cells done, timestep, {"latents", "step",
                "block"}) after each step of a block; what it returns is not used.

        Returns:
            The videos.
        """
        check_output_type(output_type)
        _note_negative(negative_prompt)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        config = self.sampler if config is None else config
        initial = self._initial(image, video, initial_latents)
        blocks = self.stream_blocks(
            prompts, config,
            latent_frames=num_latent_frames(
                num_frames, config.frames_per_block,
                initial=0 if initial is None else initial.shape[1],
            ),
            seed=seed if generator is None else draw_seed(generator),
            initial_latents=initial,
            on_cell=self._step_callback(config, callback_on_step_end),
        )  # fmt: skip
        if output_type == "latent":
            return PipelineOutput(frames=torch.cat(list(blocks), dim=1))
        parts = self.decode_blocks(self.sampled_ahead(blocks))
        chunks = [to_output(part, output_type) for part in parts]
        whole = join(chunks, output_type)
        if output_type == "pil":
            return PipelineOutput(frames=[frames[:num_frames] for frames in whole])
        return PipelineOutput(frames=whole[:, :num_frames])

    def stream(
        self,
        prompt: str,
        num_frames: int | None = None,
        *,
        image: Picture | None = None,
        video: Sequence[Image] | NDArray[np.uint8] | None = None,
        initial_latents: torch.Tensor | None = None,
        seed: int = 0,
        config: SamplerConfig | None = None,
        output_type: OutputType = "np",
        on_cell: OnCell | None = None,
    ) -> Iterator[Any]:
        """Make one video and yield its frames as they are finished, in constant memory.

        Args:
            prompt: A text.
            num_frames: Frames in all, rounded up to whole blocks; None never ends.
            image, video, initial_latents: Same as for a call; their frames come first.
            seed: Seed of the noise.
            config: Settings of the sampler; None takes the model's own, in an order that streams.
            output_type: Type of each chunk, same as for a call, without the axis of the prompts.
            on_cell: Called after each (step, block) with its latents.

        Returns:
            Yields chunks: first the frames of the first block, 4 (f - 1) + 1, then 4 f a block.

        Raises:
            UsageError: At once, for settings that cannot stream.
        """
        check_output_type(output_type)
        config = streamable(self.sampler) if config is None else config
        if config.order == "step_first":
            raise UsageError("order 'step_first' finishes no block early: stream with 'diagonal'")
        initial = self._initial(image, video, initial_latents)
        given = 0 if initial is None else initial.shape[1]
        latent_frames = (
            None
            if num_frames is None
            else num_latent_frames(num_frames, config.frames_per_block, initial=given)
        )
        blocks = self.stream_blocks(
            [prompt], config, latent_frames=latent_frames, seed=seed, initial_latents=initial,
            on_cell=on_cell,
        )  # fmt: skip
        if output_type == "latent":
            return (latents[0] for latents in blocks)
        parts = self.decode_blocks(self.sampled_ahead(blocks))
        return (to_output(part, output_type)[0] for part in parts)

    def _initial(
        self,
        image: Picture | None,
        video: Sequence[Image] | NDArray[np.uint8] | None,
        latents: torch.Tensor | None,
    ) -> torch.Tensor | None:
        encoded = self.encode_initial(image, video)
        if encoded is not None and latents is not None:
            raise UsageError("initial_latents and pictures are both given: begin with one of them")
        return latents if encoded is None else encoded

    def _step_callback(self, config: SamplerConfig, callback: StepCallback | None) -> OnCell | None:
        if callback is None:
            return None
        steps, done = denoising_steps(config), 0

        def on_cell(cell: Cell, latents: torch.Tensor) -> None:
            nonlocal done
            facts = {"latents": latents, "step": cell.step, "block": cell.block}
            callback(self, done, steps[cell.step].timestep, facts)
            done += 1

        return on_cell

    @contextmanager
    def _at_work(self, network: CausalWan | VideoAutoencoder | TinyDecoder) -> Iterator[None]:
        """With offloading, the network is on the device inside the block only."""
        if not self._offloads:
            yield
            return
        network.to(self.device)
        try:
            yield
        finally:
            network.to("cpu")
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def streamable(config: SamplerConfig) -> SamplerConfig:
    """The settings with an order that gives the same video and finishes blocks one by one."""
    return replace(config, order="diagonal") if config.order == "step_first" else config


def draw_seed(generator: torch.Generator) -> int:
    """A seed for the keyed noise, drawn from a generator."""
    if not isinstance(generator, torch.Generator):
        raise UsageError("generator must be one torch.Generator: each prompt has noise of its own")
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def _note_negative(negative_prompt: str | Sequence[str] | None) -> None:
    if negative_prompt:
        warnings.warn(
            "negative_prompt is not used: the distilled models run without guidance",
            stacklevel=3,
        )
