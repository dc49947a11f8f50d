"""The cost model against closed forms, and against bounds for any times."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiar.bench.prediction.cost_model import Machine, PassTimes, Prediction, predict
from hiar.errors import UsageError
from hiar.sampling.pipelined.tasks import split_steps

FREE = Machine()


def even(blocks: int, denoise: float = 1.0, context: float = 1.0) -> PassTimes:
    return PassTimes(denoise_s=[denoise] * blocks, context_s=[context] * (blocks - 1))


def run(
    times: PassTimes, num_ranks: int, num_steps: int = 4, machine: Machine = FREE
) -> Prediction:
    return predict(times, machine, num_steps=num_steps, num_ranks=num_ranks)


def test_one_rank_takes_the_sum_of_its_passes() -> None:
    # 15 blocks of 4 denoising passes of 2 s; 14 of them 4 context passes of 1 s
    assert run(even(15, 2.0, 1.0), 1).seconds == 15 * 4 * 2 + 14 * 4 * 1


@pytest.mark.parametrize(("num_ranks", "share"), [(2, 2), (4, 1)])
def test_equal_shares_pay_for_filling_once(num_ranks: int, share: int) -> None:
    """Rank r begins r denoising shares late; then it is never held up."""
    predicted = run(even(15), num_ranks)
    own = 15 * share + 14 * share
    assert predicted.seconds == (num_ranks - 1) * share + own
    assert predicted.interval_s(range(7, 14)) == 2 * share
    assert predicted.wait_s[:1] == [0.0]
    assert predicted.wait_s[-1] == (num_ranks - 1) * share


def test_two_ranks_nearly_double_the_speed() -> None:
    """29 S passes against 2 + 58: the ideal 2 N / (N + 1) = 1.875 takes whole blocks to fill."""
    assert run(even(15), 1).seconds / run(even(15), 2).seconds == 116 / 60


def test_the_larger_share_stands_last() -> None:
    """Filling costs passes with few keys, draining passes with a full window."""
    assert [len(share) for share in split_steps(4, 3)] == [1, 1, 2]
    growing = PassTimes(denoise_s=[1, 2, 3, 4, 4, 4], context_s=[1, 2, 3, 4, 4])
    # Ranks 0 and 1 hand block 0 on after 1 + 1 s; then rank 2 is busy with 2 x (18 + 14) s.
    assert run(growing, 3).seconds == 2 + 2 * (18 + 14)


def test_a_fused_pass_replaces_two() -> None:
    times = PassTimes(denoise_s=[1.0] * 10, context_s=[1.0] * 9, fused_s=[1.5] * 9)
    # The last rank meets block 1 after rank 0's 1 + 1.5 s and the 1.5 s of ranks 1 and 2 each.
    assert run(times, 4).seconds == 1 + 3 * 1.5 + 9 * 1.5
    assert run(times, 1).seconds == 4 * (1 + 9 * 1.5)


def test_cores_are_shared_when_ranks_outnumber_them() -> None:
    crowded = Machine(cores=2)
    assert run(even(15), 2, machine=crowded).seconds == run(even(15), 2).seconds
    seconds = run(even(15), 4, machine=crowded).seconds
    work = run(even(15), 1).seconds
    assert work / 2 < seconds < work / 2 * 1.1  # both cores busy but for filling and draining
    one = run(even(15), 4, machine=Machine(cores=1)).seconds
    assert one == pytest.approx(work)


def test_a_transfer_is_hidden_but_for_filling() -> None:
    """It takes less than the context pass that runs meanwhile."""
    slow = Machine(transfer_s=0.5)
    assert run(even(15), 4, machine=slow).seconds == run(even(15), 4).seconds + 3 * 0.5
    jam = run(even(15), 2, machine=Machine(transfer_s=100.0))
    assert jam.seconds > 100


def test_slots_hold_a_fast_rank_back() -> None:
    """With shares 1, 1, 2 the first rank may not run ahead without end."""
    predicted = run(even(40), 3)
    assert predicted.wait_s[0] > 0
    assert predicted.seconds == 2 + 40 * 2 + 39 * 2


def test_wrong_use_is_named() -> None:
    with pytest.raises(UsageError, match="5 ranks for 4 denoising steps"):
        run(even(3), 5)
    with pytest.raises(UsageError, match="3 blocks with 3 context passes"):
        PassTimes(denoise_s=[1, 1, 1], context_s=[1, 1, 1])


seconds = st.floats(min_value=0.01, max_value=10)


@settings(max_examples=60)
@given(
    passes=st.lists(st.tuples(seconds, seconds), min_size=1, max_size=12),
    num_ranks=st.integers(1, 5),
    num_steps=st.integers(5, 8),
    cores=st.sampled_from([None, 1, 2, 3]),
    transfer=st.floats(min_value=0, max_value=3),
)
def test_bounds_of_any_prediction(
    passes: list[tuple[float, float]],
    num_ranks: int,
    num_steps: int,
    cores: int | None,
    transfer: float,
) -> None:
    times = PassTimes(
        denoise_s=[denoise for denoise, _ in passes], context_s=[c for _, c in passes[:-1]]
    )
    machine = Machine(cores=cores, transfer_s=transfer)
    predicted = run(times, num_ranks, num_steps, machine)
    work = num_steps * (sum(times.denoise_s) + sum(times.context_s))
    largest = max(len(share) for share in split_steps(num_steps, num_ranks)) / num_steps * work
    assert len(predicted.finished_s) == len(passes)
    assert list(predicted.finished_s) == sorted(predicted.finished_s)
    at_most = min(num_ranks, cores or num_ranks)
    assert predicted.seconds >= max(largest, work / at_most) * (1 - 1e-9)
    idle_links = (num_ranks - 1) * transfer * (len(passes) + 1)
    assert predicted.seconds <= work + idle_links + 1e-6
