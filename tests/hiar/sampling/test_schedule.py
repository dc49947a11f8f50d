import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiar.errors import UsageError
from hiar.sampling.config import Order, SamplerConfig
from hiar.sampling.schedule import (
    Cell,
    context_calls,
    passes_per_block,
    schedule_of,
    waves,
)

few = st.integers(1, 8)


@st.composite
def configs(draw: st.DrawFn, steps: int | None = None) -> SamplerConfig:
    """Any order with any context."""
    steps = draw(st.integers(1, 6)) if steps is None else steps
    order: Order = draw(st.sampled_from(["block_first", "step_first", "diagonal", "hybrid"]))
    own: dict[str, Any] = {"context": draw(st.sampled_from(["output", "input", "clean"]))}
    if order == "block_first":
        own["context"] = "clean"
    if order == "hybrid":
        together = draw(st.integers(0, steps))
        own["block_first_steps"] = together
        own["block_first_blocks"] = draw(st.integers(0 if together else 1, 4))
    return SamplerConfig(order=order, steps=tuple(range(1000, 1000 - steps, -1)), **own)


def pairs(num_blocks: int | None, **settings: Any) -> list[tuple[int, int]]:
    found = schedule_of(SamplerConfig(**settings)).cells(num_blocks)
    return [(cell.step, cell.block) for cell in itertools.islice(found, 12)]


@given(configs(), few)
def test_every_order_visits_each_cell_once(config: SamplerConfig, blocks: int) -> None:
    visited = list(schedule_of(config).cells(blocks))
    assert sorted(visited) == [Cell(s, b) for s in range(len(config.steps)) for b in range(blocks)]


@given(configs(), few)
def test_a_cell_follows_the_cells_it_needs(config: SamplerConfig, blocks: int) -> None:
    done: set[Cell] = set()
    for cell in schedule_of(config).cells(blocks):
        assert cell.block == 0 or Cell(cell.step, cell.block - 1) in done
        assert cell.step == 0 or Cell(cell.step - 1, cell.block) in done
        done.add(cell)


def test_orders_by_hand() -> None:
    two: dict[str, Any] = {"steps": (1000, 500)}
    by_block = [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert pairs(3, order="block_first", context="clean", **two) == by_block
    assert pairs(3, **two) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert pairs(3, order="diagonal", **two) == by_block


def test_hybrids_by_hand() -> None:
    """Steps 0 and 1 at once, then step 2 a wave later; and one lead block before the grid."""
    settings: dict[str, Any] = {"order": "hybrid", "steps": (1000, 700, 400)}
    assert pairs(3, **settings, block_first_steps=2) == [
        (0, 0), (1, 0),
        (2, 0), (0, 1), (1, 1),
        (2, 1), (0, 2), (1, 2),
        (2, 2),
    ]  # fmt: skip
    assert pairs(3, **settings, block_first_blocks=1) == [
        (0, 0), (1, 0), (2, 0),
        (0, 1), (1, 1), (0, 2), (2, 1), (1, 2), (2, 2),
    ]  # fmt: skip


@given(few, few)
def test_members_of_a_wave_are_free_of_each_other(rows: int, blocks: int) -> None:
    """Neither row nor block repeats, so no cell of a wave needs or overwrites another's cache."""
    found = list(waves(rows, blocks))
    assert len(found) == rows + blocks - 1
    for index, wave in enumerate(found):
        assert wave
        assert {row + block for row, block in wave} == {index}
        assert len({row for row, _ in wave}) == len({block for _, block in wave}) == len(wave)


@given(configs(), few)
def test_an_order_without_end_begins_like_one_with_an_end(
    config: SamplerConfig, blocks: int
) -> None:
    schedule = schedule_of(config)
    if config.order == "step_first" and len(config.steps) > 1:
        with pytest.raises(UsageError, match="diagonal"):
            list(itertools.islice(schedule.cells(None), 100))
        return
    endless = itertools.takewhile(lambda cell: cell.block < blocks, schedule.cells(None))
    assert all(a == b for a, b in zip(endless, schedule.cells(blocks), strict=False))


CONTEXT_LEVELS = {
    "output": ["output", "output", "clean"],
    "clean": ["clean", "clean", "clean"],
    "input": [None, None, None],
}


@pytest.mark.parametrize("context", CONTEXT_LEVELS)
@pytest.mark.parametrize("order", ["step_first", "diagonal"])
def test_context_levels_by_hand(order: Any, context: Any) -> None:
    schedule = schedule_of(SamplerConfig(order=order, context=context, steps=(1000, 700, 400)))
    levels = [schedule.context_level(Cell(step, 1), 3) for step in range(3)]
    assert levels == CONTEXT_LEVELS[context]
    assert [schedule.context_level(Cell(step, 2), 3) for step in range(3)] == [None] * 3


def test_context_levels_of_hybrids_by_hand() -> None:
    """A stage is shown when it is through; a lead block once, clean, whatever the context."""
    config = SamplerConfig(
        order="hybrid", block_first_steps=2, block_first_blocks=1, steps=(1000, 700, 400)
    )
    schedule = schedule_of(config)
    assert [schedule.context_level(Cell(step, 0), None) for step in range(3)] == [
        None, None, "clean",
    ]  # fmt: skip
    assert [schedule.context_level(Cell(step, 1), None) for step in range(3)] == [
        None, "output", "clean",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({"order": "block_first", "context": "clean"}, 5),
        ({}, 8),
        ({"order": "diagonal", "context": "clean"}, 8),
        ({"context": "input"}, 4),
        ({"order": "hybrid", "block_first_steps": 2}, 7),
        ({"order": "hybrid", "block_first_blocks": 3}, 8),
    ],
)
def test_passes_of_a_steady_block(settings: dict[str, Any], passes: int) -> None:
    config = SamplerConfig(**settings)
    assert passes_per_block(config) == passes == 4 + context_calls(config, 5, 10)
    assert context_calls(config, 9, 10) == 0
