import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drift.errors import UsageError
from reports.cli.main import main
from reports.plan.jobs import Job, with_ids
from reports.plan.paths import local_paths
from reports.run.execute import run_jobs
from reports.run.progress import Progress
from reports.run.run_folder import Identity
from reports.run.status import read_status, status_record, status_text

WRITE = "import pathlib,sys,time; p=pathlib.Path(sys.argv[1]); p.mkdir(); "
IDENTITY = Identity(preset="tiny", preset_sha256="a" * 64)


def job(name: str, script: str, *needs: str, **more: object) -> Job:
    fields = {
        "name": name, "kind": "x", "argv": ("{python}", "-c", script, f"{{out}}/{name}"),
        "outputs": (name,), "required_outputs": (f"{name}/n",), "dependencies": needs, **more,
    }  # fmt: skip
    return Job(**fields)  # type: ignore[arg-type]


GOOD = WRITE + "(p/'n').write_text('1')"


def run(out: Path, *jobs: Job) -> None:
    planned = with_ids(jobs)
    run_jobs(
        planned, out, local_paths(out, out), identity=IDENTITY,
        missing={"model x": "needs weights x"}, progress=Progress(planned, io.StringIO()),
    )  # fmt: skip


def test_a_finished_run_says_what_failed_and_what_was_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, job("a", GOOD), job("bad", "raise SystemExit(1)"), job("after", GOOD, "bad"),
        job("big", GOOD, requires=("model x",)))  # fmt: skip
    status = read_status(tmp_path)
    assert not status.alive
    assert status.counts == {"done": 1, "failed": 1, "waiting": 1, "not run": 1}
    text = status_text(status)
    assert "preset tiny, does not run now" in text
    assert "1 of 4 jobs done" in text
    assert f"bad: failed; log: {tmp_path / 'jobs/bad.log'}" in text
    assert "1 not run: needs weights x" in text
    assert main(["status", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == status_record(status)


def test_a_run_is_seen_while_it_works_and_after_it_was_killed(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "import test_status as here\n"
        "slow = here.WRITE + \"(p/'n').touch(); time.sleep(60)\"\n"
        "here.run(Path(sys.argv[1]), here.job('a', here.GOOD), here.job('slow', slow, 'a'),\n"
        "         here.job('last', here.GOOD, 'slow'))\n"
    )
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", script, str(out)])
    try:
        deadline = time.monotonic() + 60
        while not (out / "slow/n").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        status = read_status(out)
        assert status.alive
        assert status.counts == {"done": 1, "running": 1, "waiting": 1}
        assert "runs now" in status_text(status)
        assert status.left_s > 0
    finally:
        process.kill()
        process.wait()
    status = read_status(out)
    assert not status.alive
    assert status.counts == {"done": 1, "interrupted": 1, "waiting": 1}
    assert "left, when it goes on" in status_text(status)


def test_a_folder_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="no reproduction; give the --out"):
        read_status(tmp_path)
    assert main(["status", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
