import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiar.errors import UsageError
from hiar.model.geometry import (
    decoded_frames_per_block,
    num_blocks,
    num_frames,
    num_latent_frames,
    token_grid,
)


def test_sizes_by_hand() -> None:
    assert [num_frames(n) for n in (1, 2, 3, 21, 81)] == [1, 5, 9, 81, 321]
    assert [num_latent_frames(n) for n in (1, 2, 5, 6, 81, 321)] == [1, 2, 2, 3, 21, 81]
    assert [num_latent_frames(n, 3) for n in (1, 9, 10, 81, 82)] == [3, 3, 6, 21, 24]
    assert num_blocks(21, 3) == 7
    assert decoded_frames_per_block(3) == 12
    assert decoded_frames_per_block(3, first=True) == 9
    assert token_grid(60, 104, (1, 2, 2)) == (30, 52)
    assert token_grid(6, 9, (1, 2, 3)) == (3, 3)


@given(st.integers(1, 5000), st.integers(1, 8))
def test_fewest_blocks_that_hold_the_frames(frames: int, size: int) -> None:
    latent_frames = num_latent_frames(frames, size)
    blocks = num_blocks(latent_frames, size)
    assert num_frames(latent_frames) >= frames
    assert blocks == 1 or num_frames(latent_frames - size) < frames


@given(st.integers(1, 50), st.integers(1, 8))
def test_decoded_frames_of_the_blocks_add_up(blocks: int, size: int) -> None:
    parts = [decoded_frames_per_block(size, first=block == 0) for block in range(blocks)]
    assert sum(parts) == num_frames(blocks * size)


@pytest.mark.parametrize(
    ("latent_frames", "size", "remedy"),
    [(7, 3, "take 6 or 9"), (2, 3, "take 3$"), (0, 3, "take 3$"), (-3, 3, "take 3$")],
)
def test_a_part_of_a_block_is_named(latent_frames: int, size: int, remedy: str) -> None:
    with pytest.raises(UsageError, match=f"{latent_frames} latent frames .*{remedy}"):
        num_blocks(latent_frames, size)


@pytest.mark.parametrize("count", [0, -1])
def test_no_frames_are_an_error(count: int) -> None:
    with pytest.raises(UsageError, match=f"^{count} latent frames"):
        num_frames(count)
    with pytest.raises(UsageError, match=f"^{count} frames"):
        num_latent_frames(count)


@pytest.mark.parametrize("size", [(5, 6), (6, 5)])
def test_a_part_of_a_patch_is_named(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=f"{size[0]} x {size[1]} does not divide"):
        token_grid(*size, (1, 2, 2))
