"""The speed of a release's own code and of this toolkit's sampler, both with random weights.

Speed does not depend on the values of weights, so this needs none. The release runs unmodified, in
its own environment and at a pinned commit. It loads the transformer as ever, from a file of random
numbers in the published format. Its text encoder and decoder are stand-ins, and not counted.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from baselines.adapters.adapter import Options, Timing
from baselines.adapters.environments import (
    code_path,
    environment_folder,
    python_path,
    require_environment,
)
from baselines.adapters.external_command import RUNNERS
from baselines.adapters.hiar_engine import time_transformer
from baselines.adapters.process import Program, visible_devices
from baselines.errors import VideoFailedError
from baselines.spec import Length, ModelSpec
from hiar.bench.video_timing import block_words, steady_blocks
from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.model.geometry import SPATIAL_STRIDE
from hiar.model.transformer import CausalWan
from hiar.weights.tensor_files import write_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

DTYPE = "bfloat16"
"""The release computes in it (HiAR da267d3 and Self-Forcing 33593df, inference.py)."""
BASE_CONFIG = "configs/default_config.yaml"
WEIGHTS = Path("wan_models/Wan2.1-T2V-1.3B")
"""Where the release looks for its transformer (utils/wan_wrapper.py, WanDiffusionWrapper)."""
TIMEOUT_S = 3600.0


class ReleaseTimer:
    """A release's own code, timed in a supervised process.

    Args:
        spec: The model.
        options: Options of the run.
    """

    def __init__(self, spec: ModelSpec, options: Options) -> None:
        assert spec.code is not None
        self._spec, self._options, self._code = spec, options, spec.code
        self._folder = options.environment or environment_folder(spec)
        require_environment(spec, self._folder)

    def facts(self) -> dict[str, Any]:
        """The weights; each row says which code ran."""
        return {"weights": {"transformer": "random"}}

    def time(self, length: Length, *, warmup: int, repeats: int) -> Timing:
        """Time the calls of the release's transformer, from the start of one to that of the next.

        Raises:
            UsageError: The release's code failed; the message has its last line and names its log.
        """
        sampler = self._spec.sampler
        assert sampler is not None
        assert self._spec.chunk_frames is not None
        answer = self._run(length, warmup, repeats)
        runs = [_blocks(calls) for calls in answer["runs"]]
        steady = steady_blocks(sampler, len(runs[0]))
        chunk_s = tuple(median(sum(blocks[index]) for index in steady) for blocks in runs)
        return Timing(
            chunk_frames=self._spec.chunk_frames,
            chunk_s=chunk_s,
            counted="the release's own code: denoising and context passes of "
            f"{block_words(sampler, len(runs[0]))}, and what lies between them",
            latency_s=median(chunk_s),
            parts_s={"video": median(sum(map(sum, blocks)) for blocks in runs)},
            facts={
                "code": f"{self._code.environment.repository}@{self._code.environment.commit}",
                "weights": "random",
                "passes_per_chunk": len(runs[0][steady[0]]),
                "order": sampler.order,
                "window": sampler.window,
                **{name: value for name, value in answer.items() if name != "runs"},
            },
        )

    def _run(self, length: Length, warmup: int, repeats: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="hiar-release-") as name:
            work = Path(name)
            config = write_random_weights(work / WEIGHTS)
            job, answer = work / "job.json", work / "answer.json"
            facts = {"warmup": warmup, "repeats": repeats, "answer": str(answer)}
            job.write_text(json.dumps(self._job(length, config) | facts), encoding="utf-8")
            code = code_path(self._folder)
            argv = [str(python_path(self._folder)), str(RUNNERS / "release_runner.py"), str(job)]
            variables = {"PYTHONPATH": str(code), **visible_devices(self._options.device)}
            log = self._folder / "timing.log"
            log.unlink(missing_ok=True)
            program = None
            try:
                program = Program(argv, work, variables, log)
                program.wait(self._options.timeout_s or TIMEOUT_S)
            except VideoFailedError as error:
                raise UsageError(
                    f"the released code of {self._spec.key} was not timed: {error}"
                ) from error
            finally:
                if program is not None:
                    program.stop()
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
            return found

    def _job(self, length: Length, config: WanConfig) -> dict[str, Any]:
        sampler, device = self._spec.sampler, self._options.device
        assert sampler is not None
        return {
            "code": str(code_path(self._folder)),
            "configs": [BASE_CONFIG, self._code.config],
            "method": self._code.method,
            "arguments": dict(self._code.arguments),
            "noise_shape": [
                1, length.arguments["latent_frames"], config.in_channels, *latent_size(self._spec)
            ],
            "text_shape": [config.text_len, config.text_dim],
            "window": sampler.window,
            "device": "cuda" if device.startswith("cuda:") else device,
            "dtype": DTYPE,
        }  # fmt: skip

    def close(self) -> None:
        """Does nothing: the process ends with the measurement."""


class ToolkitTimer:
    """This toolkit's transformer and sampler, timed under the release's settings."""

    def __init__(self, spec: ModelSpec, options: Options) -> None:
        self._spec, self._options = spec, options

    def facts(self) -> dict[str, Any]:
        """The weights; each row says which code ran."""
        return {"weights": {"transformer": "random"}}

    def time(self, length: Length, *, warmup: int, repeats: int) -> Timing:
        """Time the transformer block by block."""
        return time_transformer(
            random_transformer(self._options.device), self._spec, length, latent_size(self._spec),
            warmup=warmup, repeats=repeats, facts={
                "code": "this toolkit", "weights": "random",
                "attention": "PyTorch's scaled_dot_product_attention",
            },
        )  # fmt: skip

    def close(self) -> None:
        """Does nothing: no process was started."""


def check_options(spec: ModelSpec, options: Options, runnable: Sequence[str]) -> None:
    """Refuse what does not fit a measurement with random weights.

    Args:
        spec: The model.
        options: Options of the run.
        runnable: Keys of the models whose released code can be timed.

    Raises:
        UsageError: The model has no released code that is timed here, or an option has no effect.
    """
    if spec.code is None:
        raise UsageError(
            f"--random-weights does not fit {spec.key}: it times the released code of "
            f"{' and '.join(runnable)}"
        )
    given = {
        "--dtype": options.dtype, "--weights": options.weights, "--size": options.size_px,
        "--steps": options.num_steps,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"{name} does not fit --random-weights: the released code has one size, one list "
                f"of steps and computes in {DTYPE}; leave it out"
            )


def latent_size(spec: ModelSpec) -> tuple[int, int]:
    """Rows and columns of a latent frame at the model's native size."""
    return spec.height_px // SPATIAL_STRIDE, spec.width_px // SPATIAL_STRIDE


def random_transformer(device: str) -> CausalWan:
    """The transformer that all these releases share, with random weights."""
    torch.manual_seed(0)
    with torch.device(device):
        model = CausalWan(WanConfig.wan_1_3b())
    return model.to(getattr(torch, DTYPE)).eval().requires_grad_(False)


def write_random_weights(folder: Path) -> WanConfig:
    """Write random weights as diffusers' from_pretrained, which the release calls, reads them.

    Returns:
        The sizes of the transformer.

    Raises:
        UsageError: The disk has too little room.
    """
    model = random_transformer("cpu")
    config = model.config
    tensors = model.state_dict()
    needed = sum(each.numel() * each.element_size() for each in tensors.values())
    folder.mkdir(parents=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UsageError(
            f"{tempfile.gettempdir()} has {free / 1e9:.1f} GB free, and the random weights take "
            f"{needed / 1e9:.1f} GB: set TMPDIR to a folder with more room"
        )
    write_tensors(folder / "diffusion_pytorch_model.safetensors", tensors, {"format": "pt"})
    sizes = {
        "_class_name": "WanModel", "model_type": "t2v", "dim": config.dim, "eps": config.eps,
        "ffn_dim": config.ffn_dim, "freq_dim": config.freq_dim, "in_dim": config.in_channels,
        "num_heads": config.num_heads, "num_layers": config.num_layers,
        "out_dim": config.out_channels, "text_len": config.text_len,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(sizes), encoding="utf-8")
    return config


def _blocks(calls: Sequence[tuple[int, float]]) -> list[list[float]]:
    """Seconds of the calls of each block."""
    blocks: list[list[float]] = [[] for _ in range(1 + max(block for block, _ in calls))]
    for block, seconds in calls:
        blocks[block].append(seconds)
    return blocks
