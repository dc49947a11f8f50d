"""What dependencies say for themselves is not shown; what the user should know is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SPEAKING = """
import logging, warnings
from hiar.runtime.notices import NOTICES, hush_notices

hush_notices()
hush_notices()
for name, words in NOTICES.items():
    logging.getLogger(name).warning(words + ": %s", "no module")
    logging.getLogger(name).warning("another message of " + name)
logging.getLogger("hiar").warning("a message of ours")
warnings.warn("a real warning")
"""


def test_only_the_named_notices_are_dropped() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPEAKING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [line.partition("UserWarning: ")[2] or line for line in done.stderr.splitlines()] == [
        "another message of bitsandbytes.backends.cpu.ops", "a message of ours", "a real warning",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_first_video_comes_with_progress_alone(tmp_path: Path) -> None:
    """On CPUs with AVX-512 BF16 a dependency would speak up."""
    done = subprocess.run(
        [
            sys.executable, "-m", "hiar", "sample", "--prompt", "a red disc", "--latent-frames",
            "3", "--out", str(tmp_path),
        ],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    lines = done.stderr.replace("\r", "\n").splitlines()
    assert [line for line in lines if line and not line.startswith("sampling ")] == []
