"""NOVA, Pyramid Flow and MAGI-1: programs in environments of their own."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from baselines.adapters.adapter import Job, Made, Options, Timing, random_seed
from baselines.adapters.environments import (
    code_path,
    environment_folder,
    python_path,
    require_environment,
)
from baselines.adapters.process import Program, visible_devices
from baselines.adapters.videos import read_frames, write_video
from baselines.errors import VideoFailedError
from baselines.spec import Command, Length, ModelSpec
from baselines.weights import require_weights
from hiar.errors import UsageError
from hiar.runtime.files import working_folder
from hiar.weights.local import weights_folder
from hiar.weights.records import weights_sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RUNNERS = Path(__file__).resolve().parent.parent / "runners"
STEP_SETTINGS = ("num_steps", "num_inference_steps")
TIMING_PROMPT = "a red disc moves left"


class ExternalCommand:
    """A program that makes one video for each job, in a supervised process.

    Args:
        spec: The model.
        options: Options of the run; `weights` may name another weights folder.
    """

    def __init__(self, spec: ModelSpec, options: Options) -> None:
        assert spec.command is not None
        if options.dtype is not None:
            raise UsageError(f"--dtype does not fit {spec.key}: its program has its own")
        if options.size_px is not None and spec.command.size_names is None:
            raise UsageError(f"--size does not fit {spec.key}: its weights have one size")
        self._spec, self._options = spec, options
        self._command: Command = spec.command
        self._size = options.size_of(spec)
        self._folder = options.environment or environment_folder(spec)
        require_environment(spec, self._folder)
        self._weights = require_weights(
            spec, weights_folder(Path(options.weights) if options.weights else None)
        )
        self._settings = self._settings_of(options)
        self._timeout_s = options.timeout_s or self._command.timeout_s
        self._program: Program | None = None
        self._sha256 = {
            file.path or file.repo: weights_sha256(self._weights / file.path)
            for file in spec.weights
        }

    def _settings_of(self, options: Options) -> dict[str, Any]:
        settings: dict[str, Any] = self._spec.values("call")
        names = [name for name in STEP_SETTINGS if name in settings]
        if options.num_steps is not None:
            if isinstance(settings[names[0]], tuple):
                raise UsageError(f"--steps does not fit {self._spec.key}: it has a list of them")
            settings[names[0]] = options.num_steps
        return settings

    def facts(self) -> dict[str, Any]:
        """Weights, code, size and settings."""
        return {
            "weights": self._sha256,
            "code": f"{self._command.environment.repository}@{self._command.environment.commit}",
            "size_px": list(self._size),
            "settings": self._settings,
        }

    def prepare(self, prompts: Sequence[str]) -> None:
        """Does nothing: the program receives one prompt at a time."""

    def make(self, job: Job, path: Path) -> Made:
        """Make one video.

        The program's output goes to a log. A runner has one log for all videos; a program that is
        started for each video has a log beside the video, which is deleted if the video succeeds.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        once = self._command.runner is None
        log = path.with_suffix(".log") if once else path.parent / f"{self._spec.key}.log"
        if once:
            log.unlink(missing_ok=True)
        with working_folder(path.parent) as work:
            seconds, output = self._run(job, work, log)
            frames = self._checked(read_frames(output))
            sha256 = write_video(path, frames, job.length, self._spec.fps)
        if once:
            log.unlink(missing_ok=True)
        return Made(seconds=seconds, frames_sha256=sha256)

    def _checked(self, chunks: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        """Pass chunks through, and fail if they do not have the size that was asked for."""
        for chunk in chunks:
            found = chunk.shape[1:3]
            if found != self._size:
                raise VideoFailedError(
                    f"the video is {found[0]}x{found[1]} px, not {self._size[0]}x{self._size[1]}"
                )
            yield chunk

    def _run(self, job: Job, work: Path, log: Path) -> tuple[dict[str, float], Path]:
        """Have the program make a video inside `work`; returns seconds and the video's path."""
        started = time.monotonic()
        runner = self._command.runner is not None
        output = work / ("video.npy" if runner else "video.mp4")
        parts = self._ask_runner(job, work, output, log) if runner else {}
        if not runner:
            self._run_once(job, work, output, log)
        if not output.is_file():
            raise VideoFailedError(f"the program ended well and wrote no video (log: {log})")
        return {"total": time.monotonic() - started, **parts}, output

    def _run_once(self, job: Job, work: Path, output: Path, log: Path) -> None:
        config = work / "config.json"
        config.write_text(json.dumps(self._config(job)), encoding="utf-8")
        words = self._words() | {
            "config": str(config), "prompt": job.prompt, "video": str(output)
        }  # fmt: skip
        program = self._start(words, log)
        try:
            program.wait(self._timeout_s)
        finally:
            program.stop()

    def _config(self, job: Job) -> dict[str, Any]:
        """Content of a run's configuration file: that of the model's code, with our settings."""
        command, whole = self._command, {}
        if command.config_base is not None:
            base = code_path(self._folder) / command.config_base
            try:
                whole = json.loads(base.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise UsageError(
                    f"{base} cannot be read ({error}): is the checkout at "
                    f"{command.environment.commit[:7]}?"
                ) from error
        section = whole if command.config_section is None else whole[command.config_section]
        words = self._words()
        section.update(self._arguments(job))
        section.update({name: path.format(**words) for name, path in command.paths.items()})
        return whole

    def _arguments(self, job: Job) -> dict[str, Any]:
        names = self._command.size_names
        return {
            **self._settings,
            **job.length.arguments,
            **({} if names is None else dict(zip(names, self._size, strict=True))),
            "seed": random_seed(job.seed, job.prompt_index),
        }

    def _ask_runner(self, job: Job, work: Path, output: Path, log: Path) -> dict[str, float]:
        """Give a job to the runner, which stays for the next one; returns seconds by part."""
        order, answer = work / "job.json", work / "answer.json"
        request = {"prompt": job.prompt, "video": str(output), "answer": str(answer)}
        order.write_text(json.dumps(request | self._arguments(job)), encoding="utf-8")
        if self._program is None or not self._program.is_running:
            self._program = self._start(self._words(), log)
        try:
            self._program.send(str(order))
            self._program.wait(self._timeout_s, until=answer.is_file)
        except VideoFailedError:
            self.close()
            raise
        found = json.loads(answer.read_text(encoding="utf-8"))
        if "error" in found:
            raise VideoFailedError(f"the program failed: {found['error']}")
        return {name: float(value) for name, value in found["seconds"].items()}

    def _start(self, words: Mapping[str, str], log: Path) -> Program:
        code = code_path(self._folder)
        variables = {
            **self._command.variables,
            **visible_devices(self._options.device),
            "PYTHONPATH": str(code),
            "MASTER_PORT": str(_free_port()),
        }
        argv = [word.format(**words) for word in self._command.argv]
        return Program(argv, code, variables, log)

    def _words(self) -> dict[str, str]:
        device = self._options.device
        return {
            "python": str(python_path(self._folder)),
            "code": str(code_path(self._folder)),
            "weights": str(self._weights),
            "runner": str(RUNNERS / (self._command.runner or "")),
            "device": "cuda" if device.startswith("cuda:") else device,
        }

    def time(self, length: Length, *, warmup: int, repeats: int) -> Timing:
        """Time two lengths; their difference is the time of steady chunks, without loading."""
        del length  # the model's two timing lengths are used instead
        assert self._spec.chunk_frames is not None
        short, long = self._command.timing_lengths
        chunks = (long.num_frames - short.num_frames) / self._spec.chunk_frames
        runs = [
            {name: self._time_once(which) for name, which in (("short", short), ("long", long))}
            for _ in range(warmup + repeats)
        ][warmup:]
        chunk_s = tuple((run["long"] - run["short"]) / chunks for run in runs)
        return Timing(
            chunk_frames=self._spec.chunk_frames,
            chunk_s=chunk_s,
            counted=(
                f"all work on a steady chunk, decoding too: {long.num_frames} frames less "
                f"{short.num_frames} frames, over {chunks:g} chunks"
            ),
            latency_s=median(chunk_s),
            parts_s={f"{name}_video": median(run[name] for run in runs) for name in runs[0]},
            facts={},
        )

    def _time_once(self, length: Length) -> float:
        """Seconds of one video: those that the program reports, else those of the process."""
        job = Job(prompt=TIMING_PROMPT, prompt_index=0, seed=0, length=length)
        with tempfile.TemporaryDirectory(prefix="hiar-timing-") as folder:
            seconds, _ = self._run(job, Path(folder), Path(folder) / "program.log")
        return seconds.get("generate", seconds["total"])

    def close(self) -> None:
        """End the runner."""
        if self._program is not None:
            self._program.stop()
            self._program = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])
