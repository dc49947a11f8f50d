"""Looking for weights, fetching them from a hub of our own, and verifying them."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake_hub import MAIN_COMMIT, FakeHub, put_in_cache, use_endpoint
from safetensors.torch import save, save_file

from hiar.errors import UsageError
from hiar.weights import fetching
from hiar.weights.download import DownloadError
from hiar.weights.local import require, require_release, weights_folder
from hiar.weights.records import (
    is_whole,
    known_sha256,
    make_record,
    read_record,
    record_path,
    weights_sha256,
    write_record,
)
from hiar.weights.releases import PARTS, WAN_REPO, WAN_REVISION, WeightFile, find_part

Run = Callable[..., tuple[int, str, str]]
TENSORS = "vae/diffusion_pytorch_model.safetensors"
BIG = save({"a": torch.arange(700_000.0)})  # 2.8 MB


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder that the user has named."""
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights folder is named, so the Hugging Face cache is filled."""
    monkeypatch.delenv("HIAR_WEIGHTS", raising=False)


def serve_vae(hub: FakeHub) -> None:
    hub.files[WAN_REPO, "vae/config.json"] = b"{}"
    hub.files[WAN_REPO, TENSORS] = BIG
    hub.files[WAN_REPO, "transformer/other.safetensors"] = b"not asked for"
    hub.large.add(TENSORS)


def cache_vae(hub_cache: Path, commit: str = WAN_REVISION) -> Path:
    put_in_cache(hub_cache, WAN_REPO, "vae/config.json", b"{}", commit=commit, large=False)
    return put_in_cache(hub_cache, WAN_REPO, TENSORS, BIG, commit=commit)


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def one_line(result: tuple[int, str, str]) -> str:
    """The line on stderr of a command that ends with exit code 2 and prints nothing else."""
    code, out, err = result
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


def found(hiar_main: Run, name: str) -> dict[str, object]:
    row: dict[str, object] = json.loads(hiar_main("weights", "list", name, "--json")[1])["weights"][
        0
    ]
    return row


# The caches of other tools


def test_a_vae_in_the_hub_cache_is_present_without_a_download(
    hub: FakeHub, hub_cache: Path, no_folder: None, hiar_main: Run
) -> None:
    tensors = cache_vae(hub_cache)
    row = found(hiar_main, "vae")
    assert row["present"]
    assert row["path"] == str(tensors.parent)
    assert row["sha256"] == {tensors.name: hashlib.sha256(BIG).hexdigest()}
    assert require("vae") == tensors.parent
    assert "vae                       yes" in hiar_main("weights", "list")[1]
    assert hub.asked == []


def test_a_process_of_its_own_finds_it_by_hf_home(tmp_path: Path) -> None:
    cache_vae(tmp_path / "hub")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HIAR_"))}
    done = subprocess.run(
        [sys.executable, "-m", "hiar", "weights", "list", "vae", "--json"],
        env=environment | {"HF_HOME": str(tmp_path), "HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["weights"][0]["path"].startswith(str(tmp_path))


def test_another_revision_in_the_cache_serves_and_is_named(
    hub_cache: Path, no_folder: None, hiar_main: Run
) -> None:
    cache_vae(hub_cache, commit="1234567" + "0" * 33)
    assert found(hiar_main, "vae")["cached_revision"] == "1234567" + "0" * 33
    assert "revision 1234567, not the pinned 0fad780" in hiar_main("weights", "list", "vae")[1]
    cache_vae(hub_cache)  # the pinned one wins
    assert found(hiar_main, "vae")["cached_revision"] == WAN_REVISION


def test_fetch_links_what_another_revision_has_and_downloads_nothing(
    hub: FakeHub, hub_cache: Path, no_folder: None, hiar_main: Run
) -> None:
    serve_vae(hub)
    cache_vae(hub_cache, commit="1" * 40)
    code, out, _ = hiar_main("weights", "fetch", "vae")
    assert (code, hub.downloads) == (0, []), out
    assert found(hiar_main, "vae")["cached_revision"] == "1" * 40  # it has all of the right size


def test_a_repository_at_main_is_completed(
    hub: FakeHub, hub_cache: Path, no_folder: None, hiar_main: Run
) -> None:
    hub.files["jackyhate/HiAR", "hiar.pt"] = b"checkpoint"
    hub.large.add("hiar.pt")
    assert hiar_main("weights", "fetch", "hiar", "--json")[0] == 2  # the rest is not on this hub
    assert found(hiar_main, "hiar")["cached_revision"] == MAIN_COMMIT
    hub.asked.clear()
    serve_vae(hub)
    hiar_main("weights", "fetch", "hiar")
    assert hub.downloads == ["hiar.pt"]


def test_the_named_folder_wins_over_the_cache(
    hub_cache: Path, folder: Path, hiar_main: Run
) -> None:
    cache_vae(hub_cache)
    put(folder / WAN_REPO / TENSORS, BIG)
    assert found(hiar_main, "vae")["path"] == str(folder / WAN_REPO / "vae")


def test_a_file_of_an_older_version_is_found(
    hub_cache: Path, no_folder: None, hiar_main: Run
) -> None:
    home = weights_folder()
    put(home / "jackyhate/HiAR/hiar.pt")
    assert found(hiar_main, "hiar")["path"] == str(home / "jackyhate/HiAR/hiar.pt")


def test_torchs_cache_holds_the_tiny_decoder(hub_cache: Path, folder: Path, hiar_main: Run) -> None:
    path = put(Path.home() / ".cache/torch/hub/checkpoints/taew2_1.pth")
    assert found(hiar_main, "tiny-decoder")["path"] == str(path)


@pytest.mark.parametrize("what", ["blob gone", "incomplete", "shard missing"])
def test_half_a_copy_in_the_cache_is_missing(
    hub_cache: Path, no_folder: None, hiar_main: Run, what: str
) -> None:
    if what == "shard missing":
        name = "text_encoder/model-00001-of-00002.safetensors"
        put_in_cache(hub_cache, WAN_REPO, name, BIG, commit=WAN_REVISION)
        assert not found(hiar_main, "text-encoder")["present"]
        second = name.replace("00001", "00002")
        put_in_cache(hub_cache, WAN_REPO, second, BIG, commit=WAN_REVISION)
        assert found(hiar_main, "text-encoder")["present"]
        return
    blob = cache_vae(hub_cache).resolve()
    assert found(hiar_main, "vae")["present"]
    blob.rename(blob.with_name(f"{blob.name}.incomplete"))
    assert not found(hiar_main, "vae")["present"]


# Fetching


def test_fetch_fills_the_cache_that_others_share(
    hub: FakeHub, hub_cache: Path, no_folder: None, hiar_main: Run
) -> None:
    serve_vae(hub)
    code, out, _ = hiar_main("weights", "fetch", "vae")
    assert (code, out) == (0, "2 files fetched, 0 there already, in the Hugging Face cache\n")
    tensors = require("vae") / Path(TENSORS).name
    assert hub_cache in tensors.parents
    assert tensors.read_bytes() == BIG
    assert all("/transformer/" not in path for path in hub.asked)
    assert known_sha256(tensors) == hashlib.sha256(BIG).hexdigest()
    assert hiar_main("weights", "verify", "vae")[0] == 0
    assert hiar_main("weights", "fetch", "vae")[1].startswith("0 files fetched, 2 there already")
    assert len(hub.downloads) == 2


@pytest.mark.parametrize("lie", [None, "ab" * 32])
def test_a_cache_without_links_is_checked_too(
    hub: FakeHub, no_folder: None, hiar_main: Run, monkeypatch: pytest.MonkeyPatch, lie: str | None
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_SYMLINKS", True)
    serve_vae(hub)
    hub.lie = lie
    code, _, err = hiar_main("weights", "fetch", "vae")
    assert (code == 0) == (lie is None), err
    assert found(hiar_main, "vae")["present"] == (lie is None)


def test_fetch_list_and_verify_in_a_named_folder(
    hub: FakeHub, folder: Path, hiar_main: Run
) -> None:
    serve_vae(hub)
    tensors = folder / WAN_REPO / TENSORS
    assert hiar_main("weights", "fetch", "vae")[1].startswith("2 files fetched")
    assert tensors.read_bytes() == BIG
    record = read_record(tensors)
    assert record is not None
    assert record.sha256 == hashlib.sha256(BIG).hexdigest()
    assert record.checked_against == "sha256"
    config = read_record(tensors.with_name("config.json"))
    assert config is not None
    assert config.checked_against == "git blob"
    listed = found(hiar_main, "vae")
    assert (listed["present"], listed["num_bytes"]) == (True, len(BIG) + 2)
    assert listed["sha256"] == {
        tensors.name: record.sha256, "config.json": hashlib.sha256(b"{}").hexdigest()
    }  # fmt: skip
    assert hiar_main("weights", "verify", "vae")[0] == 0
    assert hiar_main("weights", "fetch", "vae")[1].startswith("0 files fetched")
    tensors.write_bytes(BIG[:-1] + b"?")
    code, out, _ = hiar_main("weights", "verify", "vae")
    assert code == 1
    assert "changed" in out


def test_a_named_folder_copies_from_the_cache(
    hub: FakeHub, hub_cache: Path, folder: Path, hiar_main: Run
) -> None:
    serve_vae(hub)
    cache_vae(hub_cache)
    assert hiar_main("weights", "fetch", "vae")[1].startswith("0 files fetched, 2 there already")
    assert hub.downloads == []


def test_a_file_cut_short_is_fetched_again(
    hub: FakeHub, hub_cache: Path, no_folder: None, hiar_main: Run
) -> None:
    serve_vae(hub)
    tensors = cache_vae(hub_cache)
    tensors.resolve().write_bytes(BIG[:1000])
    assert hiar_main("weights", "verify", "vae")[0] == 1
    assert hiar_main("weights", "fetch", "vae")[0] == 0
    assert tensors.read_bytes() == BIG
    assert hub.downloads == [TENSORS]


def test_a_broken_transfer_goes_on(hub: FakeHub, no_folder: None, hiar_main: Run) -> None:
    serve_vae(hub)
    hub.cut_after = [2, 1_500_000, 700_000]  # the config whole, then the weights in three pieces
    assert hiar_main("weights", "fetch", "vae")[0] == 0
    assert require("vae").joinpath(Path(TENSORS).name).read_bytes() == BIG


def test_a_log_gets_lines_with_the_time_left(
    hub: FakeHub, no_folder: None, hiar_main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_vae(hub)
    assert hiar_main("weights", "fetch", "vae")[2].strip() == ""  # it took less than ten seconds
    monkeypatch.setattr("hiar.weights.download.LINE_EVERY_S", 0.0)
    require("vae").joinpath(Path(TENSORS).name).resolve().unlink()
    err = hiar_main("weights", "fetch", "vae")[2]
    assert "100%" in err
    assert "2.80M/2.80M" in err


def test_the_next_run_goes_on_with_the_next_file(
    hub: FakeHub, no_folder: None, hiar_main: Run
) -> None:
    serve_vae(hub)
    hub.cut_after = [2, *[0] * 6]
    assert "again to go on" in one_line(hiar_main("weights", "fetch", "vae"))
    with pytest.raises(UsageError, match="weights are missing: vae"):
        require("vae")
    hub.downloads.clear()
    assert hiar_main("weights", "fetch", "vae")[0] == 0
    assert hub.downloads == [TENSORS]


def test_other_content_than_stated_is_removed(
    hub: FakeHub, hub_cache: Path, folder: Path, hiar_main: Run
) -> None:
    serve_vae(hub)
    hub.lie = "ab" * 32
    assert "not the published abababababab" in one_line(hiar_main("weights", "fetch", "vae"))
    assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 999]


def test_other_content_leaves_the_cache_too(
    hub: FakeHub, hub_cache: Path, no_folder: None, hiar_main: Run
) -> None:
    serve_vae(hub)
    hub.lie = "ab" * 32
    one_line(hiar_main("weights", "fetch", "vae"))
    assert not list(hub_cache.rglob("*.json"))
    assert not list(hub_cache.rglob("ab" * 32))


def test_a_server_that_fails_for_a_moment_is_asked_again(
    hub: FakeHub, no_folder: None, hiar_main: Run
) -> None:
    serve_vae(hub)
    hub.failures = [503, 502]
    assert hiar_main("weights", "fetch", "vae")[0] == 0


def refuse_token(hub: FakeHub) -> None:
    hub.token = "hf_right"


def close_gate(hub: FakeHub) -> None:
    hub.gated.add(WAN_REPO)


def lose_revision(hub: FakeHub) -> None:
    hub.gone.add(WAN_REVISION)


def lose_repository(hub: FakeHub) -> None:
    hub.files = {("other/repo", "x"): b""}


def lose_folder(hub: FakeHub) -> None:
    del hub.files[WAN_REPO, TENSORS], hub.files[WAN_REPO, "vae/config.json"]


def intercept_files(hub: FakeHub) -> None:
    hub.proxy = "files"


def intercept_all(hub: FakeHub) -> None:
    hub.proxy = "all"


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (refuse_token, "refuses your token"),
        (close_gate, "is gated: accept its licence at"),
        (lose_revision, f"no revision {WAN_REVISION}"),
        (lose_repository, f"shows no {WAN_REPO}"),
        (lose_folder, "holds no vae/"),
        (intercept_files, "should be of size 2 but has size"),
        (intercept_all, "is a proxy in the way?"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: FakeHub, no_folder: None, hiar_main: Run, monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[FakeHub], None], words: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    serve_vae(hub)
    break_it(hub)
    assert words in one_line(hiar_main("weights", "fetch", "vae"))
    assert not found(hiar_main, "vae")["present"]


def test_a_token_opens_what_needs_one(
    hub: FakeHub, no_folder: None, hiar_main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_vae(hub)
    hub.token = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert hiar_main("weights", "fetch", "vae")[0] == 0


def test_no_server_is_one_line(
    hub: FakeHub, no_folder: None, hiar_main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_endpoint("http://127.0.0.1:9", monkeypatch)
    assert "Connection refused" in one_line(hiar_main("weights", "fetch", "vae"))


def test_offline_with_a_part_of_the_cache(
    hub: FakeHub, hub_cache: Path, no_folder: None, hiar_main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_vae(hub_cache)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert hiar_main("weights", "fetch", "vae")[:2] == (
        0, "0 files fetched, 2 there already, in the Hugging Face cache\n"
    )  # fmt: skip
    line = one_line(hiar_main("weights", "fetch", "vae", "tokenizer", "tiny-decoder"))
    assert "HF_HUB_OFFLINE forbids downloads" in line
    assert find_part("tokenizer").file.address in line
    assert "forbids downloads" in one_line(hiar_main("weights", "fetch", "tiny-decoder"))
    assert hub.asked == []


def test_a_cache_that_cannot_be_written_is_one_line(
    hub: FakeHub, no_folder: None, hiar_main: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_vae(hub)
    blocked = put(tmp_path / "file") / "hub"  # a folder below a file, which root cannot write too
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(blocked))
    assert str(blocked) in one_line(hiar_main("weights", "fetch", "vae"))


def test_a_full_disk_is_said_before_a_byte_is_fetched(
    hub: FakeHub, no_folder: None, hiar_main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_vae(hub)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    assert "Not enough free disk space" in one_line(hiar_main("weights", "fetch", "vae"))
    assert TENSORS not in hub.downloads


def test_a_listing_cannot_lead_outside(
    hub: FakeHub, no_folder: None, hiar_main: Run, tmp_path: Path
) -> None:
    hub.files[WAN_REPO, "vae/../../../../../escaped"] = b"x"
    one_line(hiar_main("weights", "fetch", "vae"))
    assert not list(tmp_path.rglob("escaped"))


def child_environment(hub: FakeHub, hub_cache: Path, tmp_path: Path) -> dict[str, str]:
    """What a process of its own needs to talk to the fake hub, and nothing of this machine's."""
    environment = os.environ | {
        "HF_ENDPOINT": hub.address, "HF_HUB_CACHE": str(hub_cache), "HOME": str(tmp_path / "home")
    }  # fmt: skip
    environment.pop("HIAR_WEIGHTS", None)
    return environment


@pytest.mark.parametrize("named", [True, False])
def test_two_processes_fetch_the_same_file(
    hub: FakeHub, hub_cache: Path, tmp_path: Path, named: bool
) -> None:
    serve_vae(hub)
    hub.hold = threading.Event()
    environment = child_environment(hub, hub_cache, tmp_path)
    command = [sys.executable, "-m", "hiar", "weights", "fetch", "vae"]
    command += ["--weights-dir", str(tmp_path / "w")] * named
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    threading.Timer(4.0, hub.hold.set).start()
    results = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], results
    assert set(hub.downloads) == {"vae/config.json", TENSORS}
    assert named or len(hub.downloads) == 2  # the shared cache has a lock


def test_ctrl_c_leaves_nothing_half_done(hub: FakeHub, hub_cache: Path, tmp_path: Path) -> None:
    serve_vae(hub)
    hub.hold = threading.Event()
    environment = child_environment(hub, hub_cache, tmp_path)
    command = [sys.executable, "-m", "hiar", "weights", "fetch", "vae"]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = threading.Event()
    while not any(asked.startswith("GET") and "/resolve/" in asked for asked in hub.asked):
        assert run.poll() is None
        deadline.wait(0.05)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert err.endswith("interrupted; run the same command again to go on\n")
    assert not list(hub_cache.rglob("*.incomplete"))
    hub.hold.set()
    hub.hold = None
    again = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert again.stdout.startswith("2 files fetched")


def test_a_file_of_github(
    hub_cache: Path, folder: Path, hiar_main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = find_part("tiny-decoder")

    def arrive(url: str, target: Path) -> None:
        assert url == part.file.address
        put(target, b"other content")

    monkeypatch.setattr(fetching, "fetch_url", arrive)
    assert "git blob" in one_line(hiar_main("weights", "fetch", "tiny-decoder"))
    assert not found(hiar_main, "tiny-decoder")["present"]


# Listing and verifying


def test_a_file_of_a_repository_is_found_beside_others(hub: FakeHub) -> None:
    path = "checkpoints/self_forcing_dmd.pt"
    for name in (path, "checkpoints/other.pt", "checkpoints/self_forcing_dmd.pt.old"):
        hub.files["gdhe17/Self-Forcing", name] = name.encode()
    found = fetching.list_files(find_part("self-forcing").file)
    assert [file.path for file in found] == [path]
    with pytest.raises(DownloadError, match=r"holds no checkpoints/none\.pt"):
        fetching.list_files(WeightFile(repo="gdhe17/Self-Forcing", path="checkpoints/none.pt"))


def test_verify_online_asks_the_publisher(hub: FakeHub, hiar_main: Run, folder: Path) -> None:
    serve_vae(hub)
    tensors = put(folder / WAN_REPO / TENSORS, BIG[:-4])
    put(folder / WAN_REPO / "vae/config.json", b"{ }")

    def verdicts(*arguments: str) -> dict[str, str]:
        rows = json.loads(hiar_main("weights", "verify", "vae", "--json", *arguments)[1])
        return {Path(row["path"]).name: row["verdict"] for row in rows["weights"]}

    assert verdicts() == {"config.json": "unverified", tensors.name: "damaged"}
    tensors.write_bytes(BIG)
    assert verdicts("--online") == {"config.json": "changed", tensors.name: "ok"}
    # What was checked once is recorded; what differed is not.
    assert verdicts() == {"config.json": "unverified", tensors.name: "ok"}


def test_verify_names_what_is_missing_only_if_asked(
    hiar_main: Run, hub_cache: Path, folder: Path
) -> None:
    code, out, _ = hiar_main("weights", "verify")
    assert (code, out) == (0, f"nothing to verify in {folder}\n")
    code, out, _ = hiar_main("weights", "verify", "hiar")
    assert code == 1
    assert out.count("missing") == 4


def test_list_names_every_part_its_address_hash_and_target(
    hiar_main: Run, hub_cache: Path, folder: Path
) -> None:
    code, out, _ = hiar_main("weights", "list")
    assert code == 0
    for part in PARTS:
        assert part.key in out
        assert part.file.address in out
        assert part.file.stated is None or part.file.stated[1] in out
    address = "https://huggingface.co/jackyhate/HiAR/resolve/main/hiar.pt"
    assert f"{address} -> {folder}/jackyhate/HiAR/hiar.pt" in out
    assert f"resolve/{WAN_REVISION}" not in out  # folders are shown as trees
    assert f"{WAN_REPO}/tree/{WAN_REVISION}/vae" in out


def test_a_folder_on_the_command_line_wins(
    hiar_main: Run, hub_cache: Path, folder: Path, tmp_path: Path
) -> None:
    put(tmp_path / "other" / "jackyhate/HiAR/hiar.pt")
    argv = ("weights", "list", "hiar", "--json", "--weights-dir", tmp_path / "other")
    rows = json.loads(hiar_main(*argv)[1])["weights"]
    assert {row["name"]: row["present"] for row in rows} == {
        "hiar": True, "text-encoder": False, "tokenizer": False, "vae": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch"], "name what to fetch"),
        (["list", "wan"], "'wan' is no release and no weights: choose from hiar"),
        (["list", "--online"], "--online is for verify"),
        (["get"], "invalid choice"),
    ],
)
def test_wrong_use_is_one_line(
    hiar_main: Run, folder: Path, arguments: list[str], words: str
) -> None:
    assert words in one_line(hiar_main("weights", *arguments))


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder(environment={}) == tmp_path / ".cache/hiar/weights"
    assert weights_folder(environment={"HIAR_WEIGHTS": ""}) == tmp_path / ".cache/hiar/weights"
    assert weights_folder(environment={"HIAR_WEIGHTS": "~/w"}) == tmp_path / "w"
    assert weights_folder(tmp_path, {"HIAR_WEIGHTS": "~/w"}) == tmp_path
    with pytest.raises(UsageError, match="is not a folder: set HIAR_WEIGHTS or --weights-dir"):
        weights_folder(put(tmp_path / "file"))


def test_a_release_needs_all_its_parts(hub_cache: Path, folder: Path) -> None:
    put(folder / "Efficient-Large-Model/LongLive-1.3B/models/longlive_base.pt")
    put(folder / WAN_REPO / "text_encoder/model-00001-of-00001.safetensors")
    put(folder / WAN_REPO / "vae/.diffusion_pytorch_model.safetensors.part")
    with pytest.raises(UsageError) as error:
        require_release("longlive")
    message = str(error.value)
    assert "hiar weights fetch longlive" in message
    for name in ("longlive-lora", "tokenizer", "vae"):
        assert f"{name} (" in message
    for name in ("longlive-base", "text-encoder"):
        assert f"{name} (" not in message
    put(folder / "Efficient-Large-Model/LongLive-1.3B/models/lora.pt")
    put(folder / WAN_REPO / "tokenizer/tokenizer.json")
    put(folder / WAN_REPO / TENSORS)
    files = require_release("longlive")
    assert files.lora is not None
    assert files.lora.name == "lora.pt"
    assert files.vae == folder / WAN_REPO / "vae"


# Hashes


def test_a_known_hash_is_trusted_until_the_file_changes(tmp_path: Path) -> None:
    path = put(tmp_path / "w.pt", b"first")
    write_record(path, make_record(path, sha256="remembered"))
    assert known_sha256(path) == "remembered"
    put(path, b"second version")
    assert known_sha256(path) == hashlib.sha256(b"second version").hexdigest()
    record_path(path).write_text("[]")
    assert read_record(path) is None


def test_a_folder_is_its_tensors_wherever_it_lies(hub_cache: Path, tmp_path: Path) -> None:
    cached = cache_vae(hub_cache).parent
    put(tmp_path / "vae" / Path(TENSORS).name, BIG)
    put(tmp_path / "vae" / "README.md")
    assert weights_sha256(cached) == weights_sha256(tmp_path / "vae")
    put(tmp_path / "tokenizer" / "tokenizer.json", b"{}")
    before = weights_sha256(tmp_path / "tokenizer")
    put(tmp_path / "tokenizer" / "special_tokens_map.json", b"{}")
    assert weights_sha256(tmp_path / "tokenizer") != before


def test_what_the_format_shows_of_a_cut(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(64)}, tmp_path / "w.safetensors")
    torch.save({"a": torch.zeros(64)}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        path = tmp_path / name
        assert is_whole(path)
        path.write_bytes(path.read_bytes()[:-9])
        assert not is_whole(path)
    assert not is_whole(put(tmp_path / "page.safetensors", b"<!doctype html>"))
    assert not is_whole(put(tmp_path / "config.json", b'{"a": '))
