import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

import hiar
from drift.files import file_sha256
from reports.cli.main import main
from reports.figures import FIGURES
from reports.paper.spec import load_preset

Run = Callable[..., subprocess.CompletedProcess[str]]
Reproduction = tuple[Path, subprocess.CompletedProcess[str]]


def test_help_needs_no_heavy_package() -> None:
    code = (
        "import sys, reports.cli.main\n"
        "try:\n    reports.cli.main.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'jinja2', 'av'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--no-resume" in done.stdout


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--only", "table9"], "--only 'table9': unknown; choose from mechanism, table1, table2"),
        (["--only", ""], "choose from"),
        (["--only", "field"], "--only field: preset tiny has no row of it; choose from mechanism"),
    ],
)
def test_wrong_use_is_one_line(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_out_that_is_a_file_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").touch()
    assert main(["--out", str(tmp_path / "x")]) == 2
    assert "is a file; give a folder" in capsys.readouterr().err


def test_out_that_cannot_be_made_is_wrong_use(tmp_path: Path, reproduce: Run) -> None:
    (tmp_path / "x").touch()
    done = reproduce("--out", str(tmp_path / "x/y"))
    assert done.returncode == 2
    assert "Not a directory; choose a folder to write in" in done.stderr
    assert done.stderr.count("\n") == 1


def test_unknown_preset_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--preset", "huge"]) == 2
    assert "--preset huge: unknown; choose from tiny, smoke" in capsys.readouterr().err


def test_dry_run_writes_nothing(tmp_path: Path, reproduce: Run) -> None:
    done = reproduce("--out", str(tmp_path / "out"), "--dry-run", "--only", "table3", "--json")
    assert done.returncode == 0, done.stderr
    jobs = json.loads(done.stdout)["jobs"]
    assert [name for name in jobs if name.startswith("sample")] == [
        f"sample-tiny-{row}" for row in ("hiar", "self-forcing", "causvid", "no-retraining")
    ]
    assert {job["state"] for job in jobs.values()} == {"run"}
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_whole_reproduction(reproduction: Reproduction) -> None:
    out, done = reproduction
    assert done.returncode == 0, done.stderr
    assert "Table 1. " in done.stdout
    assert "Table 3. " in done.stdout
    assert done.stdout.strip().endswith(f"report: {out / 'report.html'}")
    names = {path.name for path in (out / "tables").iterdir()}
    texts = ("md", "csv", "tex", "json")
    assert names == {
        f"{table}.{suffix}" for table in load_preset("tiny").tables for suffix in texts
    }
    names = {path.name for path in (out / "figures").iterdir()}
    assert names == {f"{name}.{suffix}" for name in FIGURES for suffix in (*texts, "png", "pdf")}


@pytest.mark.slow
def test_second_run_reruns_nothing(reproduction: Reproduction, reproduce: Run) -> None:
    out, _ = reproduction
    before = {path: path.stat().st_mtime_ns for path in (out / "jobs").glob("[!.]*.json")}
    own = [out / "report.html", out / "manifest.json", *(out / "figures").iterdir(),
           *(out / "tables").iterdir()]  # fmt: skip
    written = {path: path.stat().st_mtime_ns for path in own}
    done = reproduce("--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["jobs"].values()) == {"reused"}
    assert {path: path.stat().st_mtime_ns for path in (out / "jobs").glob("[!.]*.json")} == before
    assert {path: path.stat().st_mtime_ns for path in own} == written


@pytest.mark.slow
def test_a_report_that_was_changed_is_written_again(
    reproduction: Reproduction, reproduce: Run
) -> None:
    out, _ = reproduction
    files = {
        path: path.read_bytes()
        for path in [out / "report.html", out / "tables/table1.md", out / "figures/fig4.json"]
    }
    (out / "report.html").unlink()
    (out / "tables/table1.md").write_text("another table\n")
    done = reproduce("--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["jobs"].values()) == {"reused"}
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.slow
def test_manifest_leads_from_every_artifact_to_its_inputs(reproduction: Reproduction) -> None:
    out, _ = reproduction
    text = (out / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["schema"] == "reports-manifest/2"
    for path, entry in manifest["artifacts"].items():
        assert file_sha256(out / path) == entry["sha256"]
        assert entry["jobs"] or path.startswith(
            "figures/"
        )  # one may want a record that is not there
        assert set(entry["jobs"]) <= set(manifest["jobs"])
    job = manifest["jobs"]["sample-tiny-self-forcing"]
    assert "hiar/tiny/assets/transformer/model.safetensors" in job["inputs"]
    assert job["finished"] >= job["started"]
    assert "figures/fig3.png" in manifest["artifacts"]
    assert str(out) not in text


class Links(HTMLParser):
    """Collects what a page would load or link to, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("src", "href", "poster")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.slow
def test_report_is_self_contained_and_escapes_prompts(reproduction: Reproduction) -> None:
    out, _ = reproduction
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Links()
    page.feed(text)
    assert page.targets
    assert all(target.startswith(("data:", "#")) for target in page.targets)
    assert not re.search(r"url\(|@import|https?://", text)
    shown = [run for run in load_preset("tiny").runs if run.in_figures]
    ends = 2 * len(shown)  # both ends of every run, each with a still
    assert page.tags.count("video") == ends
    assert page.tags.count("img") == len(FIGURES) + ends
    assert "a red disc moves left" in page.words
    assert "job students-tiny; commit" in text
    assert str(out) not in text


@pytest.mark.slow
def test_failure_is_listed_and_the_rest_is_made(tmp_path: Path, reproduce: Run) -> None:
    out = tmp_path / "out"
    done = reproduce("--out", str(out), "--only", "table3", FAKE_HIAR_FAIL="output")
    assert done.returncode == 1
    assert "sample-tiny-hiar: failed, exit code 1" in done.stderr
    assert "  | sampling failed on purpose: <b>&</b>" in done.stderr
    found = re.search(r"(\d+) of (\d+) jobs have no result", done.stderr)
    assert found is not None
    assert 0 < int(found[1]) < int(found[2])
    table = json.loads((out / "tables/table3.json").read_text())
    cells = {row["id"]: row["cells"]["drift"]["measured"] for row in table["rows"]}
    assert cells["self-forcing"]["status"] == "measured"
    assert cells["no-retraining"]["reason"] == (
        "job score-tiny-no-retraining: sample-tiny-no-retraining failed"
    )
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "failed on purpose: &lt;b&gt;&amp;&lt;/b&gt;" in page


def test_missing_assets_are_wrong_use(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "hiar").mkdir()
    real = Path(hiar.__file__).parent
    (tmp_path / "hiar/__init__.py").write_text(f"__path__.append({str(real)!r})\n")
    done = subprocess.run(
        [sys.executable, "-m", "reports", "--out", "out"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("reproduce-paper: hiar/tiny/assets/**/*.safetensors: no such")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_with_130(
    sign: signal.Signals, tmp_path: Path, packages: Path, environment: dict[str, str]
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "reports", "--out", str(out)],
        cwd=packages,
        env={**environment, "FAKE_HIAR_SLEEP": "60"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "running" in process.stderr.readline()
    time.sleep(0.3)
    process.send_signal(sign)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted; run the same command again to go on" in stderr
    assert "Traceback" not in stderr
    assert not stdout
    record = json.loads((out / "jobs/sample-tiny-hiar.json").read_text())
    assert record["status"] == "interrupted"
    assert not (out / "tables").exists()
