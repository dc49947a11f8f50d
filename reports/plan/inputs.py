"""Hashes of what jobs read, and which of them count for each kind of job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reports.plan.video_parts import Part


@dataclass(frozen=True, kw_only=True)
class InputHashes:
    """Everything besides its command that decides the id of a job.

    Attributes:
        files: sha256, by name, of the files that all sampling jobs of a preset read.
        prompts: sha256 by prompt set; a set whose file is not there yet has no entry.
        weights: sha256 by path, of the checkpoints that a user brings.
        sources: sha256 of the Python sources, by package.
        sample_versions: Versions of the packages that sampling runs on.
        score_versions: Versions of the packages that scoring runs on.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    sample_versions: Mapping[str, str] = field(default_factory=dict)
    score_versions: Mapping[str, str] = field(default_factory=dict)


class JobInputs:
    """The inputs of each kind of job. Tens of thousands of jobs share a few mappings."""

    def __init__(self, hashes: InputHashes) -> None:
        self._hashes = hashes
        self._samples: dict[tuple[str, str], Mapping[str, str]] = {}
        self.bench = {**hashes.files, **self._source("hiar"), **hashes.sample_versions}
        self.timing = {**self.bench, **self._source("baselines")}
        self.score = {**self._source("drift"), **hashes.score_versions}
        self.vbench = self._source("eval")
        self.proxies = {**self.score, **self._source("eval", "hiar")}
        self.own = {**self.bench, **self.score}

    def _source(self, *packages: str) -> dict[str, str]:
        found = self._hashes.sources
        return {f"source of {name}": found[name] for name in packages if name in found}

    def sample(self, part: Part) -> Mapping[str, str]:
        """Returns the inputs of a sampling job: files, prompts, weights, sources and versions."""
        run, prompts = part.run, part.sample.prompts
        key = run.name, prompts.name
        if key not in self._samples:
            found = dict(self.timing if run.tool == "baselines" else self.bench)
            if prompts.name in self._hashes.prompts:
                found[prompts.file] = self._hashes.prompts[prompts.name]
            if run.own_weights in self._hashes.weights:
                found[run.own_weights] = self._hashes.weights[run.own_weights]
            self._samples[key] = found
        return self._samples[key]
