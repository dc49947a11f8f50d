"""The ring against a list that a reader can check: which frames are visible, with which values."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.model.kv_cache import KVCache

pytestmark = pytest.mark.numerics

CONFIG = WanConfig(dim=4, ffn_dim=4, num_heads=2, num_layers=2)
FRAME_TOKENS = 2


def block_tensors(first_frame: int, size: int, version: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys that spell (frame, version, token); values are their negatives."""
    frame = torch.arange(first_frame, first_frame + size).repeat_interleave(FRAME_TOKENS)
    token = torch.arange(FRAME_TOKENS).repeat(size)
    keys = torch.stack((frame, torch.full_like(frame, version), token, token), dim=-1)
    keys = keys.float().view(1, size * FRAME_TOKENS, CONFIG.num_heads, CONFIG.head_dim)
    return keys, -keys


def frames_and_versions(keys: torch.Tensor) -> list[tuple[int, int]]:
    """What lies where; checks that a frame's tokens stay together and in order."""
    frames = keys.reshape(-1, FRAME_TOKENS, 4).int()
    assert (frames == frames[:, :1] * torch.tensor([1, 1, 0, 0]) + torch.tensor(
        [[0, 0, t, t] for t in range(FRAME_TOKENS)]
    )).all()  # fmt: skip
    return [(int(frame[0, 0]), int(frame[0, 1])) for frame in frames]


@given(
    sink=st.integers(0, 4),
    spare=st.integers(0, 6),
    size=st.integers(1, 4),
    rewrites=st.lists(st.integers(0, 2), min_size=1, max_size=12),
)
def test_visible_frames_equal_a_list(sink: int, spare: int, size: int, rewrites: list[int]) -> None:
    window = sink + size + spare
    cache = KVCache(
        CONFIG, batch_size=1, frame_tokens=FRAME_TOKENS, capacity=window, sink=sink
    )  # fmt: skip
    latest: dict[int, int] = {}
    places: dict[int, int] = {}
    addresses = set()
    for block, extra_writes in enumerate(rewrites):
        first, end = block * size, (block + 1) * size
        for version in range(extra_writes + 1):
            keys, values = block_tensors(first, size, version)
            for layer in range(CONFIG.num_layers):
                seen_keys, seen_values = cache.write(layer, first, keys, values)
                addresses.add((layer, seen_keys.data_ptr(), seen_values.data_ptr()))
                assert torch.equal(seen_values, -seen_keys)
            cache.advance(end)
            latest |= dict.fromkeys(range(first, end), version)
            visible = [f for f in range(end) if f < sink or f >= end - (window - sink)]
            found = frames_and_versions(seen_keys)
            assert sorted(found) == [(frame, latest[frame]) for frame in visible]
            now = {frame: place for place, (frame, _) in enumerate(found)}
            assert all(now[frame] == places.get(frame, now[frame]) for frame in now)
            places = now
    assert len(addresses) == CONFIG.num_layers


@pytest.mark.parametrize("first_frame", [0, 9])
def test_a_gap_or_an_older_block_is_refused(first_frame: int) -> None:
    cache = KVCache(CONFIG, batch_size=1, frame_tokens=FRAME_TOKENS, capacity=12)
    for first in (0, 3):
        cache.write(0, first, *block_tensors(first, 3, 0))
        cache.advance(first + 3)
    with pytest.raises(AssertionError, match="do not follow 6"):
        cache.write(0, first_frame, *block_tensors(first_frame, 3, 0))


@pytest.mark.parametrize("sink", [-1, 6])
def test_a_sink_must_leave_room(sink: int) -> None:
    with pytest.raises(UsageError, match="sink"):
        KVCache(CONFIG, batch_size=1, frame_tokens=FRAME_TOKENS, capacity=6, sink=sink)
