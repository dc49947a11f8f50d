"""The KV caches of one sampling run: which cell uses which, and when they come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hiar.model.kv_cache import KVCache
    from hiar.sampling.schedule import Cell, Schedule


class StageCaches:
    """One cache for each stage of a schedule, made when its first cell runs.

    Frames that are clean context for every stage (latents given at the start, and the lead blocks
    of a hybrid order) are written to one clean cache. Each stage's own cache begins as a copy of
    it.

    Args:
        schedule: Order of the cells.
        new_cache: Function that makes an empty cache.
    """

    def __init__(self, schedule: Schedule, new_cache: Callable[[], KVCache]) -> None:
        self._schedule, self._new_cache = schedule, new_cache
        self._clean: KVCache | None = None
        self._by_stage: dict[int, KVCache] = {}

    def clean(self) -> KVCache:
        """The cache of frames that are clean from the start."""
        if self._clean is None:
            self._clean = self._new_cache()
        return self._clean

    def of(self, cell: Cell) -> KVCache:
        """The cache that a cell's block is denoised against and written to."""
        if cell.block < self._schedule.lead_blocks:
            return self.clean()
        stage = self._schedule.stage_of(cell.step)
        if stage not in self._by_stage:
            self._by_stage[stage] = self._begin(stage)
        return self._by_stage[stage]

    def release(self, cell: Cell) -> None:
        """Free the memory of the cache that a cell used."""
        if cell.block < self._schedule.lead_blocks:
            self._clean = None
        else:
            del self._by_stage[self._schedule.stage_of(cell.step)]

    def _begin(self, stage: int) -> KVCache:
        if self._clean is None:
            return self._new_cache()
        if stage + 1 < len(self._schedule.stages):
            return self._clean.clone()
        # No later stage needs a copy, so the last one takes the clean cache itself.
        cache, self._clean = self._clean, None
        return cache
