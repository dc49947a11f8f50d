"""What every way of running a model has in common: options in, one video a job out."""

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
        dtype: Of the network; None is bfloat16 on a GPU, as released, and float32 on a CPU.
        weights: A folder of the user's, or "tiny", instead of the weights folder.
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
        """The dtype that a run has."""
        return self.dtype or ("float32" if self.device == "cpu" else "bfloat16")

    def size_of(self, spec: ModelSpec) -> tuple[int, int]:
        """(height, width) of the videos."""
        return self.size_px or (spec.height_px, spec.width_px)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One video to make.

    Attributes:
        prompt: Its text.
        prompt_index: Position of the prompt in its list.
        seed: Of this sample of it.
        length: Of the video.
    """

    prompt: str
    prompt_index: int
    seed: int
    length: Length


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What was measured of one model at one length.

    Attributes:
        chunk_frames: Frames of a steady chunk, or of the whole video for a model without chunks.
        chunk_s: Seconds that such a chunk took, a value for each repeat.
        counted: What lies inside `chunk_s`, in words.
        latency_s: Seconds until a viewer has a chunk, by the paper's definition: the time of one
            chunk, or of the whole video for a model without chunks.
        parts_s: Median seconds of what lies outside `chunk_s`, by name.
        facts: Anything else a reader needs, such as passes a chunk.
    """

    chunk_frames: int
    chunk_s: tuple[float, ...]
    counted: str
    latency_s: float
    parts_s: Mapping[str, float]
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What an adapter tells of a video that it made.

    Attributes:
        seconds: Seconds by part of the work.
        frames_sha256: SHA-256 of the frames that were encoded, uint8 RGB, one after the other.
        latents_sha256: SHA-256 of the float32 latents that were decoded; None where the model
            does not give them out.
    """

    seconds: Mapping[str, float]
    frames_sha256: str
    latents_sha256: str | None = None


class Adapter(Protocol):
    """A model that is ready to run."""

    def facts(self) -> dict[str, Any]:
        """What decides a video's content beside the job: weights, number type, size, settings."""
        ...

    def prepare(self, prompts: Sequence[str]) -> None:
        """Told what is to come, before the first video."""
        ...

    def make(self, job: Job, path: Path) -> Made:
        """Make one video; it appears at `path` whole or not at all.

        Raises:
            VideoFailedError: If this video could not be made.
        """
        ...

    def time(self, length: Length, *, warmup: int, repeats: int) -> Timing:
        """Measure speed at one length; `repeats` runs count, `warmup` runs before them do not."""
        ...

    def close(self) -> None:
        """End what the adapter has started."""
        ...


def random_seed(seed: int, prompt_index: int) -> int:
    """The seed of one video for a model that takes a single number, in [0, 2**31).

    Args:
        seed: Of the sample.
        prompt_index: Position of the prompt.
    """
    import hashlib  # noqa: PLC0415

    digest = hashlib.sha256(f"{seed}/{prompt_index}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
