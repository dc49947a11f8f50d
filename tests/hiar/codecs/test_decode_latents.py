"""`scripts/decode_latents.py`: latents that `hiar sample` saved, decoded again."""

import sys
from pathlib import Path

import decode_latents
import pytest

from hiar.cli.main import main
from hiar.codecs.sidecars import read_sidecar

pytestmark = pytest.mark.numerics


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["decode_latents.py", *map(str, arguments)])
    return decode_latents.main()


def test_float32_gives_the_same_frames_and_bfloat16_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    settings = ["--prompt", "a red square", "--latent-frames", "3", "--save-latents"]
    assert main(["sample", *settings, "--out", str(first)]) == 0
    (video,) = first.glob("*.mp4")
    before = read_sidecar(video)
    assert before is not None
    for dtype, is_same in (("float32", True), ("bfloat16", False)):
        out = tmp_path / dtype
        assert run(monkeypatch, first, "--out", out, "--dtype", dtype) == 0
        after = read_sidecar(out / video.name)
        assert after is not None
        assert (after["prompt"], after["decoded_in"]) == ("a red square", dtype)
        assert (after["frames_sha256"] == before["frames_sha256"]) is is_same


def test_a_folder_without_latents_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, tmp_path, "--out", tmp_path / "out")
    assert ended.value.code == 2
    assert "--save-latents" in capsys.readouterr().err
