"""Ranks for context and for decoding, against times worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiar.bench.prediction.cost_model import Machine, PassTimes, interval_s, predict
from hiar.bench.prediction.splits import Costs, Split, SplitPrediction, predict_split
from hiar.errors import UsageError

BLOCKS = 20
STEADY = range(10, 19)


def run(
    steps: int, context: int, decoder: int, *, c: float = 1.0, v: float = 0.0, keys: float = 0.0
) -> SplitPrediction:
    """Four steps, denoising passes of 1 s, ten layers."""
    times = PassTimes(denoise_s=[1.0] * BLOCKS, context_s=[c] * (BLOCKS - 1))
    split = Split(steps=steps, context=context, decoder=decoder)
    costs = Costs(decode_s=v, num_layers=10, keys_s=keys)
    return predict_split(times, costs, split, num_steps=4)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_without_context_ranks_it_is_the_pipeline(steps: int) -> None:
    found = run(steps, 0, 1)
    times = PassTimes(denoise_s=[1.0] * BLOCKS, context_s=[1.0] * (BLOCKS - 1))
    plain = predict(times, Machine(), num_steps=4, num_ranks=steps)
    assert found.clean_s == list(plain.finished_s)
    assert found.decoded_s == found.clean_s


@pytest.mark.parametrize(("decoder", "interval"), [(1, 6.0), (2, 3.0), (3, 2.0), (4, 2.0)])
def test_decoding_keeps_up_once_a_share_is_shorter_than_a_block(
    decoder: int, interval: float
) -> None:
    """Blocks come every 1 + 1 s; one rank decodes one in 6 s. A block still takes 6 s in all."""
    found = run(4, 0, decoder, v=6.0)
    assert interval_s(found.decoded_s, STEADY) == pytest.approx(interval)
    assert found.decoded_s[0] == pytest.approx(found.clean_s[0] + 6)


def test_a_context_rank_for_each_step_hides_context_but_for_a_layer() -> None:
    """A block waits 0.1 s for the first layer's keys, denoises for 1 s, and is context next."""
    assert interval_s(run(4, 4, 1).clean_s, STEADY) == pytest.approx(1.1)
    assert interval_s(run(4, 4, 1, c=3.0).clean_s, STEADY) == pytest.approx(3.1)
    assert interval_s(run(4, 4, 1, keys=5.0).clean_s, STEADY) == pytest.approx(5.1)


def test_one_context_rank_is_short_for_four_contexts() -> None:
    """Four context passes a block take as long as 4 s, where leaving them to the steps takes 2."""
    assert interval_s(run(4, 1, 1).clean_s, STEADY) == pytest.approx(4.0)
    assert interval_s(run(4, 0, 1).clean_s, STEADY) == pytest.approx(2.0)


@given(
    denoise=st.lists(st.floats(0.01, 5), min_size=1, max_size=9),
    context=st.integers(0, 3),
    decode_s=st.floats(0, 9),
    layers=st.integers(1, 40),
)
def test_blocks_come_in_order_and_no_rank_works_twice_at_once(
    denoise: list[float], context: int, decode_s: float, layers: int
) -> None:
    times = PassTimes(denoise_s=denoise, context_s=denoise[1:])
    found = [
        predict_split(
            times, Costs(decode_s=decode_s, num_layers=layers),
            Split(steps=3, context=context, decoder=decoder), num_steps=3,
        )
        for decoder in (1, 2)
    ]  # fmt: skip
    for each in found:
        assert list(each.clean_s) == sorted(each.clean_s)
        assert each.clean_s[-1] >= sum(denoise) * (1 - 1e-9)
    one, two = (each.decoded_s for each in found)
    assert one[-1] >= len(denoise) * decode_s * (1 - 1e-9)
    assert all(b <= a * (1 + 1e-9) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(
    ("split", "words"),
    [((4, 5, 1), "0 to 4 context ranks"), ((4, 0, 0), "at least 1"), ((2, 1, 1), "each step")],
)
def test_wrong_splits_are_named(split: tuple[int, int, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(*split)
