import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiar.config import SamplerConfig
from hiar.errors import UsageError
from hiar.flops import context_calls
from hiar.schedule import Cell, cells, passes_per_block, waves

ORDERS = ("block_first", "step_first", "diagonal")
orders, few = st.sampled_from(ORDERS), st.integers(1, 12)


@given(orders, few, few)
def test_every_order_visits_each_cell_once(order: Any, steps: int, blocks: int) -> None:
    visited = list(cells(order, steps, blocks))
    assert sorted(visited) == [Cell(s, b) for s in range(steps) for b in range(blocks)]


@given(orders, few, few)
def test_a_cell_follows_the_cells_it_needs(order: Any, steps: int, blocks: int) -> None:
    done: set[Cell] = set()
    for cell in cells(order, steps, blocks):
        assert cell.block == 0 or Cell(cell.step, cell.block - 1) in done
        assert cell.step == 0 or Cell(cell.step - 1, cell.block) in done
        done.add(cell)


def test_orders_by_hand() -> None:
    def pairs(order: Any) -> list[tuple[int, int]]:
        return [(cell.step, cell.block) for cell in cells(order, 2, 3)]

    assert pairs("block_first") == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert pairs("step_first") == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert pairs("diagonal") == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert [cell.wave for cell in cells("diagonal", 2, 3)] == [0, 1, 1, 2, 2, 3]


@given(few, few)
def test_cells_of_a_wave_are_free_of_each_other(steps: int, blocks: int) -> None:
    """Neither step nor block repeats, so no cell of a wave needs or overwrites another's cache."""
    found = list(waves(steps, blocks))
    assert len(found) == steps + blocks - 1
    for index, wave in enumerate(found):
        assert wave
        assert {cell.wave for cell in wave} == {index}
        assert len({cell.step for cell in wave}) == len({cell.block for cell in wave}) == len(wave)


@given(few, few)
def test_diagonal_is_its_waves(steps: int, blocks: int) -> None:
    flat = [cell for wave in waves(steps, blocks) for cell in wave]
    assert list(cells("diagonal", steps, blocks)) == flat


@given(few, few)
def test_a_diagonal_without_end_begins_like_one_with_an_end(steps: int, blocks: int) -> None:
    endless, finite = cells("diagonal", steps, None), cells("diagonal", steps, blocks)
    for expected in itertools.takewhile(lambda cell: cell.wave < blocks, finite):
        assert next(endless) == expected


@given(few, few)
def test_block_first_without_end_begins_like_one_with_an_end(steps: int, blocks: int) -> None:
    endless = itertools.islice(cells("block_first", steps, None), steps * blocks)
    assert list(endless) == list(cells("block_first", steps, blocks))


def test_step_first_needs_an_end() -> None:
    with pytest.raises(UsageError, match="diagonal"):
        next(cells("step_first", 4, None))


@given(orders, st.sampled_from(["output", "input", "clean"]), st.integers(1, 6))
def test_passes_of_a_steady_block_are_its_calls(order: Any, context: Any, steps: int) -> None:
    if order == "block_first":
        context = "clean"
    falling = tuple(float(1000 - i) for i in range(steps))
    config = SamplerConfig(order=order, context=context, steps=falling)
    expected = steps + context_calls(config, block=5, num_blocks=10)
    assert passes_per_block(order, context, steps) == expected
