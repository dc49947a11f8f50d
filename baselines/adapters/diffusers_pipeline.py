"""LTX-Video, Wan2.1 and SkyReels-V2 through their diffusers pipelines."""

from __future__ import annotations

import functools
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import diffusers
import torch

from baselines.adapters.adapter import Job, Made, Options, Timing, random_seed
from baselines.adapters.videos import to_uint8, write_video
from baselines.errors import VideoFailedError
from baselines.spec import Length, ModelSpec
from baselines.weights import require_weights
from hiar.errors import UsageError
from hiar.runtime.device import Mark, Stopwatch, check_device
from hiar.runtime.notices import hush_notices
from hiar.weights.local import weights_folder
from hiar.weights.records import weights_sha256

INDEX = "model_index.json"
COMPONENTS = ("transformer", "vae", "text_encoder")


class DiffusersPipeline:
    """A pipeline with the settings of its model's authors.

    Args:
        spec: The model.
        options: Options of the run; `weights` may name a folder that `save_pretrained` wrote.
    """

    def __init__(self, spec: ModelSpec, options: Options) -> None:
        check_device(options.device)
        self._spec = spec
        self._size = options.size_of(spec)
        self._folder = find_folder(spec, options)
        self._device = torch.device(options.device)
        self._dtype: torch.dtype = getattr(torch, options.dtype_name)
        self._call = spec.values("call")
        if options.num_steps is not None:
            self._call["num_inference_steps"] = options.num_steps
        self.pipe = self._load()
        self._sha256 = {name: weights_sha256(self._folder / name) for name in COMPONENTS}

    def _load(self) -> Any:
        hush_notices()
        cls = getattr(diffusers, class_name(self._spec))
        parts: dict[str, Any] = {}
        if "vae dtype" in self._spec.values("fact"):
            parts["vae"] = diffusers.AutoencoderKLWan.from_pretrained(
                self._folder, subfolder="vae", torch_dtype=torch.float32, local_files_only=True
            )
        try:
            with warnings.catch_warnings():  # diffusers 0.40 has no other name for it
                warnings.filterwarnings("ignore", "`torch_dtype` is deprecated", FutureWarning)
                pipe = cls.from_pretrained(
                    self._folder, torch_dtype=self._dtype, local_files_only=True, **parts
                )
        except (OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise UsageError(f"{self._folder} is no {cls.__name__}: {first}") from error
        scheduler = self._spec.values("scheduler")
        if scheduler:
            pipe.scheduler = diffusers.UniPCMultistepScheduler.from_config(
                pipe.scheduler.config, **scheduler
            )
        pipe.set_progress_bar_config(disable=True)
        return pipe.to(self._device)

    def facts(self) -> dict[str, Any]:
        """Weights, number type, size and settings."""
        return {
            "weights": {"name": self._folder.name, **self._sha256},
            "dtype": str(self._dtype).removeprefix("torch."),
            "size_px": list(self._size),
            "settings": self._call | self._spec.values("scheduler"),
        }

    def prepare(self, prompts: Sequence[str]) -> None:
        """Does nothing: the pipeline encodes each prompt itself."""

    def make(self, job: Job, path: Path) -> Made:
        """Make one video; its noise depends only on the job."""
        started = time.monotonic()
        try:
            frames = self._run(job.prompt, job.length, random_seed(job.seed, job.prompt_index))
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"the GPU's memory is too small for {self._spec.key}: try --dtype bfloat16"
            ) from error
        sha256 = write_video(path, [to_uint8(frames)], job.length, self._spec.fps)
        return Made(seconds={"total": time.monotonic() - started}, frames_sha256=sha256)

    def _run(self, prompt: str, length: Length, seed: int, **more: Any) -> Any:
        """Run the pipeline; returns frames, float (T, H, W, 3) in [0, 1]."""
        height, width = self._size
        devices = [self._device] if self._device.type == "cuda" else []
        # SkyReels-V2 draws the noise on its history from the global generator.
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            generator = torch.Generator("cpu").manual_seed(seed)
            arguments = {**self._call, **length.arguments, **more}
            try:
                output = self.pipe(
                    prompt=prompt, height=height, width=width, generator=generator,
                    output_type="np", **arguments,
                )  # fmt: skip
            except ValueError as error:
                raise VideoFailedError(f"the pipeline refuses: {error}") from error
        return output.frames[0]

    def time(self, length: Length, *, warmup: int, repeats: int) -> Timing:
        """Time the denoising of windows, or of the whole video, apart from text and decoding."""
        runs = [self._time_once(length) for _ in range(warmup + repeats)][warmup:]
        single = len(runs[0]["windows"]) == 1
        chunk_s = tuple(run["windows"][0] if single else median(run["windows"][1:]) for run in runs)
        parts = {name: median(run[name] for run in runs) for name in ("text", "decode")}
        if not single:
            parts["first_chunk"] = median(run["windows"][0] for run in runs)
        chunk_frames = self._spec.chunk_frames
        if single or chunk_frames is None:
            chunk_frames = length.frames_made
        what = "the whole video" if single else "a window after the first"
        return Timing(
            chunk_frames=chunk_frames,
            chunk_s=chunk_s,
            counted=f"denoising of {what}, both passes of guidance",
            latency_s=median(chunk_s),
            parts_s=parts,
            facts={
                "num_inference_steps": self._call["num_inference_steps"],
                "windows": len(runs[0]["windows"]),
            },
        )

    def _time_once(self, length: Length) -> dict[str, Any]:
        """Seconds of text encoding, of each window's denoising, and of decoding."""
        watch = Stopwatch(self._device)
        text: list[tuple[Mark, Mark]] = []
        decode: list[tuple[Mark, Mark]] = []
        ends: list[Mark] = []

        def on_step(_pipe: Any, step: int, _timestep: Any, _tensors: Any) -> dict[str, Any]:
            if step > 0:
                ends.pop()
            ends.append(watch.mark())
            return {}

        with (
            _timed(self.pipe, "encode_prompt", watch, text),
            _timed(self.pipe.vae, "decode", watch, decode),
        ):
            self._run("a red disc moves left", length, 0, callback_on_step_end=on_step)
        starts = [text[-1][1], *ends]
        return {
            "text": sum(watch.seconds(*pair) for pair in text),
            "decode": sum(watch.seconds(*pair) for pair in decode),
            "windows": [watch.seconds(a, b) for a, b in zip(starts, ends, strict=False)],
        }

    def close(self) -> None:
        """Does nothing: no process was started."""


@contextmanager
def _timed(
    owner: Any, name: str, watch: Stopwatch, marks: list[tuple[Mark, Mark]]
) -> Iterator[None]:
    """Within the block, record the start and end of each call of a method."""
    method: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(method)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = watch.mark()
        result = method(*args, **kwargs)
        marks.append((start, watch.mark()))
        return result

    setattr(owner, name, timed)
    try:
        yield
    finally:
        delattr(owner, name)


def find_folder(spec: ModelSpec, options: Options) -> Path:
    """Finds the folder of the pipeline: the user's, or the one in the weights folder.

    Raises:
        UsageError: The folder is missing or incomplete, or holds another pipeline.
    """
    given = options.weights
    folder = Path(given) if given else require_weights(spec, weights_folder())
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{folder} is no pipeline: it needs {INDEX} and the folders that save_pretrained writes"
        ) from None
    if index.get("_class_name") != class_name(spec):
        raise UsageError(
            f"{folder} holds a {index.get('_class_name')}, not the {class_name(spec)} of {spec.key}"
        )
    return folder


def class_name(spec: ModelSpec) -> str:
    """Name of the pipeline's class in diffusers."""
    return spec.entry.removeprefix("diffusers.")
