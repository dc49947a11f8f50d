"""The interface of adapters, which make one video for each job, and its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from baselines.spec import Length, ModelSpec


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the user wants a model to be run.

    Attributes:
        device: cpu, cuda or cuda:N.
        dtype: Number type of the network; None is bfloat16 on a GPU, as released, and float32 on
            a CPU.
        weights: Folder of the user's own weights, or "tiny"; None takes the weights folder.
        size_px: (height, width) instead of the model's own.
        num_steps: Denoising steps instead of the model's own.
        environment: Folder of an external program's environment.
        timeout_s: Longest time for one video of an external program.
    """

    device: str = "cpu"
    dtype: str | None = None
    weights: str | None = None
    size_px: tuple[int, int] | None = None
    num_steps: int | None = None
    environment: Path | None = None
    timeout_s: float | None = None

    @property
    def dtype_name(self) -> str:
        """Name of the number type that a run uses."""
        return self.dtype or ("float32" if self.device == "cpu" else "bfloat16")

    def size_of(self, spec: ModelSpec) -> tuple[int, int]:
        """(height, width) of the videos."""
        return self.size_px or (spec.height_px, spec.width_px)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One video to make.

    Attributes:
        prompt: Text of the prompt.
        prompt_index: Position of the prompt in its list.
        seed: Seed of this sample of the prompt.
        length: Length of the video.
    """

    prompt: str
    prompt_index: int
    seed: int
    length: Length


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Measured speed of one model at one length.

    Attributes:
        chunk_frames: Number of frames of a steady chunk, or of the whole video for a model without
            chunks.
        chunk_s: Seconds that such a chunk took, one value for each repeat.
        counted: Description of the work that `chunk_s` includes.
        latency_s: Seconds until a viewer has a chunk, by the paper's definition: the time of one
            chunk, or of the whole video for a model without chunks.
        parts_s: Median seconds of work that `chunk_s` does not include, by name.
        facts: Other facts for the record, such as the number of passes for each chunk.
    """

    chunk_frames: int
    chunk_s: tuple[float, ...]
    counted: str
    latency_s: float
    parts_s: Mapping[str, float]
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Made:
    """Facts about a video that an adapter made.

    Attributes:
        seconds: Seconds by part of the work.
        frames_sha256: SHA-256 of the frames that were encoded, uint8 RGB, one after the other.
        latents_sha256: SHA-256 of the float32 latents that were decoded; None where the model
            does not expose them.
    """

    seconds: Mapping[str, float]
    frames_sha256: str
    latents_sha256: str | None = None


class Timed(Protocol):
    """A model whose speed can be measured."""

    def facts(self) -> dict[str, Any]:
        """Everything but the job that decides a video's content: weights, number type, settings."""
        ...

    def time(self, length: Length, *, warmup: int, repeats: int) -> Timing:
        """Measure speed at one length in `repeats` runs, after `warmup` runs that do not count."""
        ...

    def close(self) -> None:
        """End the processes that the adapter has started."""
        ...


class Adapter(Timed, Protocol):
    """A model that is ready to run."""

    def prepare(self, prompts: Sequence[str]) -> None:
        """Called once with all prompts, before the first video is made."""
        ...

    def make(self, job: Job, path: Path) -> Made:
        """Make one video; the file appears at `path` only when it is complete.

        Raises:
            VideoFailedError: This video could not be made.
        """
        ...


def random_seed(seed: int, prompt_index: int) -> int:
    """Combines seed and prompt into one number in [0, 2**31), for models that take only a seed.

    Args:
        seed: Seed of the sample.
        prompt_index: Position of the prompt in its list.
    """
    import hashlib  # noqa: PLC0415

    digest = hashlib.sha256(f"{seed}/{prompt_index}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
