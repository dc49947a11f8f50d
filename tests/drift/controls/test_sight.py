"""How far a metric follows a dose, by hand."""

import pytest

from drift.controls.sight import see


def test_readings_that_follow_the_dose():
    sight = see([[0.1, 0.2, 0.4, 0.9], [0.0, 0.3, 0.4, 0.6]])
    assert sight.effects == pytest.approx((0.2, 0.35, 0.7))
    assert sight.spread == pytest.approx((0.6, 0.8))
    assert sight.accuracy == 1
    assert not sight.blind


def test_the_direction_is_that_of_the_mean_effect():
    assert see([[0.0, -0.2, -0.4, -0.9]]).accuracy == 1


def test_pairs_in_the_wrong_order_count_against_it():
    # Of six pairs of doses 0, 1, 2, 3 the pair (1, 2) is wrong.
    assert see([[0.0, 0.5, 0.4, 0.9]]).accuracy == pytest.approx(5 / 6)


def test_a_metric_that_does_not_move_is_blind_and_guesses():
    sight = see([[0.3, 0.3, 0.3, 0.3]])
    assert (sight.effects, sight.accuracy, sight.blind) == ((0, 0, 0), 0.5, True)
