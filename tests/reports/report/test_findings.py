from dataclasses import replace

from reports.records.measurements import Measurements
from reports.report.findings import findings


def test_drift_stands_beside_its_noise(measurements: Measurements) -> None:
    text = " ".join(findings(measurements))
    # 0.1 / 0.04 by hand
    assert "tiny-causvid: saturation 2.5, sharpness 2.5" in text
    assert "0.375 step-first against 0.500 block-first, 25.0 % less" in text


def test_without_a_noise_floor_nothing_is_said_of_it(measurements: Measurements) -> None:
    flat = {
        run: replace(
            record,
            metrics={n: replace(c, noise_floor=0.0) for n, c in record.metrics.items()},
        )
        for run, record in measurements.drifts.items()
    }
    assert "random order" not in " ".join(findings(replace(measurements, drifts=flat)))


def test_nothing_scored_is_said(measurements: Measurements) -> None:
    lines = findings(replace(measurements, drifts={}, bench={}))
    assert lines[0].startswith("No run was scored")
    # Table 1 prints 10 x 7 numbers less 6 dashes, Tables 2 and 3 print 3 x 4 and 7 x 4.
    assert "Of the 104 numbers in Tables 1-3, 0 have one here" in lines[-1]
