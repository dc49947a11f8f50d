"""Upstream's own code, where it is given: nothing here is faked.

HIAR_VBENCH_TEST_ENV   an environment that `hiar-vbench setup --long` made
HIAR_VBENCH_TEST_REPO  a checkout of VBench's repository
"""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from eval.protocol.dimensions import DIMENSIONS
from eval.protocol.long_tables import table_paths, write_tables
from eval.protocol.prompts import (
    NUM_PROMPTS,
    case_pairs,
    count_differences,
    duplicates,
    find_suite,
    read_suite,
)
from eval.scores.score import score_dimensions

pytestmark = pytest.mark.slow
A, B = "In a still frame, a stop sign", "a toilet, frozen in time"


@pytest.fixture(scope="module")
def repository() -> Path:
    named = os.environ.get("HIAR_VBENCH_TEST_REPO")
    if not named:
        pytest.skip("NOT RUN: set HIAR_VBENCH_TEST_REPO to a checkout of VBench's repository")
    return Path(named)


def read(run: Path) -> list:
    text = (run / "temporal_flickering_eval_results.json").read_text()
    return json.loads(text)["temporal_flickering"]


def test_flickering_through_the_subprocess_equals_in_process(
    real_environment, make_suite, make_folder, vbench, tmp_path
) -> None:
    suite = make_suite([(A, ["temporal_flickering"]), (B, ["temporal_flickering"])])
    common = ("run", make_folder([A, B]), "--suite", suite, "--samples", 2, "--dimensions",
              "temporal_flickering", "--devices", "cpu")  # fmt: skip
    code, _, err = vbench(*common, "--env", real_environment, "--out", tmp_path / "theirs")
    assert code == 0, err
    code, _, err = vbench(*common, "--in-process", "--out", tmp_path / "ours")
    assert code == 0, err
    assert read(tmp_path / "theirs") == read(tmp_path / "ours")  # every bit of every video


def test_own_prompts_through_the_subprocess_equal_in_process(
    real_environment, make_video, box, vbench, tmp_path
) -> None:
    for index in range(16):
        make_video(tmp_path / "videos" / f"{index:04d}-0.mp4", box(8, index))
    listed = tmp_path / "prompts.csv"
    listed.write_text("prompt\n" + "".join(f"prompt {index}\n" for index in range(16)))
    common = ("run", tmp_path / "videos", "--custom", listed, "--samples", 1, "--dimensions",
              "temporal_flickering", "--devices", "cpu")  # fmt: skip
    code, _, err = vbench(*common, "--env", real_environment, "--out", tmp_path / "theirs")
    assert code == 0, err
    code, _, err = vbench(*common, "--in-process", "--out", tmp_path / "ours")
    assert code == 0, err
    assert read(tmp_path / "theirs") == read(tmp_path / "ours")  # in the same order, bit by bit


def test_an_undecodable_video_does_not_vanish(
    real_environment, make_suite, make_folder, vbench, tmp_path
) -> None:
    folder = make_folder([A])
    # A header that can be read, over frames that cannot: upstream would leave the video out.
    whole = (folder / f"{A}-1.mp4").read_bytes()
    start = whole.index(b"mdat") + 4
    (folder / f"{A}-1.mp4").write_bytes(whole[:start] + bytes(len(whole) - start))
    code, _, err = vbench(
        "run", folder, "--suite", make_suite([(A, ["temporal_flickering"])]), "--samples", 2,
        "--env", real_environment, "--out", tmp_path / "run", "--dimensions",
        "temporal_flickering", "--devices", "cpu",
    )  # fmt: skip
    assert code == 1
    assert f"left out {A}-1.mp4" in err


def test_long_videos(real_environment, make_suite, make_video, box, vbench, tmp_path) -> None:
    for sample in (0, 1):  # 97 frames at 16 a second: three clips of 2 s and one that overlaps
        make_video(tmp_path / "long" / f"{A}-{sample}.mp4", box(97, sample))
    code, _, err = vbench(
        "run", tmp_path / "long", "--suite", make_suite([(A, ["temporal_flickering"])]),
        "--samples", 2, "--env", real_environment, "--out", tmp_path / "run", "--protocol",
        "vbench-long", "--dimensions", "temporal_flickering", "--devices", "cpu",
    )  # fmt: skip
    assert code == 0, err
    aggregate, entries = read(tmp_path / "run")
    assert [e["video_path"] for e in entries[:4]] == [f"{A}-0_{i:03d}.mp4" for i in range(4)]
    assert len(entries) == 8
    assert aggregate == pytest.approx(np.mean([e["video_results"] for e in entries]), rel=1e-12)


def test_suite_of_the_wheel(real_environment) -> None:
    suite = read_suite(find_suite(real_environment))
    assert len(suite) == NUM_PROMPTS
    assert count_differences(suite) == ()
    assert sorted(duplicates(suite).values()) == [(495, 748), (503, 746)]
    assert case_pairs(suite) == (("A fantasy landscape", "a fantasy landscape"),)


def test_suite_is_the_repositorys_list(real_environment, repository) -> None:
    lines = (repository / "prompts" / "all_dimension.txt").read_text().splitlines()
    assert [prompt.text for prompt in read_suite(find_suite(real_environment))] == lines


@pytest.mark.parametrize("seed", range(3))
def test_score_equals_upstreams_script(repository, tmp_path, seed: int) -> None:
    values = np.random.default_rng(seed).random(16)
    raw = {d.name: float(value) for d, value in zip(DIMENSIONS, values, strict=True)}
    with zipfile.ZipFile(tmp_path / "results.zip", "w") as archive:
        for name, value in raw.items():
            archive.writestr(f"{name}_eval_results.json", json.dumps({name: [value, []]}))
    done = subprocess.run(
        [sys.executable, repository / "scripts" / "cal_final_score.py", "--zip_file",
         tmp_path / "results.zip", "--model_name", tmp_path / "model"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = [float(x) for x in re.findall(r"score\|(-?[\d.e-]+)\|", done.stdout)]
    ours = score_dimensions(raw)
    assert [ours.quality, ours.semantic, ours.total] == pytest.approx(theirs, rel=1e-12)


def test_tables_of_long_are_the_repositorys(repository, tmp_path) -> None:
    write_tables(tmp_path)
    configs = repository / "vbench2_beta_long" / "configs"
    for key, name in (
        ("clip_length", "clip_length_mix"),
        ("fusion", "slow_fast_params"),
        ("subject", "subject_mapping_table"),
        ("background", "background_mapping_table"),
    ):
        theirs = yaml.safe_load((configs / f"{name}.yaml").read_text())
        assert yaml.safe_load(table_paths(tmp_path)[key].read_text()) == theirs
