"""How the videos of a run are cut into jobs, and where each job puts its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reports.paper.spec import Preset
from reports.paper.spec_types import PromptSet, RunSpec, SampleSpec
from reports.plan.jobs import LONG, long_name, sample_name


@dataclass(frozen=True, kw_only=True)
class Part:
    """The videos that one sampling job makes: some prompts of a set, with one seed.

    Attributes:
        first: Index of the first prompt.
        last: Index after the last prompt.
        alone: Whether this job makes all videos of its run.
        is_long: Whether these are the longer videos of drift against length, in a folder apart.
    """

    run: RunSpec
    sample: SampleSpec
    seed: int
    first: int
    last: int
    alone: bool
    is_long: bool = False

    @property
    def name(self) -> str:
        """Name of the job."""
        if self.is_long:
            return long_name(sample_name(self.run.name))
        if self.alone:
            return sample_name(self.run.name)
        return f"{sample_name(self.run.name)}-{self.sample.prompts.name}-{self._suffix}"

    @property
    def folder(self) -> str:
        """Folder of the videos, relative to the reproduction folder."""
        whole = f"videos/{self.run.name}"
        if self.is_long:
            return f"{LONG}/{whole}"
        if self.alone:
            return whole
        return f"{whole}/{self.sample.prompts.name}/{self._suffix}"

    @property
    def _suffix(self) -> str:
        return f"s{self.seed}-p{self.first:04d}"


def video_parts(preset: Preset, run: RunSpec) -> Iterator[Part]:
    """Cuts a run's videos into jobs."""
    cuts = [
        (sample, seed, first)
        for sample in preset.samples
        for seed in sample.seeds
        for first in range(0, sample.prompts.count, run.videos_per_job or sample.prompts.count)
    ]
    for sample, seed, first in cuts:
        size = run.videos_per_job or sample.prompts.count
        last = min(first + size, sample.prompts.count)
        alone = len(cuts) == 1
        yield Part(run=run, sample=sample, seed=seed, first=first, last=last, alone=alone)


def videos_of(
    run: RunSpec, parts: Iterable[Part], prompts: PromptSet
) -> tuple[list[Part], str, int]:
    """Returns the parts that make a run's videos of a prompt set, their folder and all frames."""
    mine = [part for part in parts if part.sample.prompts.name == prompts.name]
    folder = mine[0].folder if mine[0].alone else f"videos/{run.name}/{prompts.name}"
    num_frames = sum((part.last - part.first) * part.sample.num_frames(run) for part in mine)
    return mine, folder, num_frames
