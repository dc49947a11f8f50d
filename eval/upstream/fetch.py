"""Fetches one of upstream's weights to where upstream looks for it."""

import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

from drift.metrics.weights.download import DownloadError, download
from eval.upstream.isolated_process import isolated_variables, python_of
from eval.upstream.weights import Root, WeightFile, check, locate, note_hash

BERT_CODE = (
    "from huggingface_hub import snapshot_download as fetch; "
    "fetch('bert-base-uncased', allow_patterns=['*.txt', '*.json', 'model.safetensors'])"
)


class FetchError(RuntimeError):
    """A weight file could not be fetched, or is not what was published; the message is one line."""


def fetch(weight: WeightFile, roots: Mapping[Root, Path], environment: Path) -> bool:
    """Fetches a weight unless it is there.

    Args:
        weight: The weight to fetch.
        roots: The three folders that hold weights.
        environment: The isolated environment; its huggingface_hub fetches the weights that
            belong in that library's cache.

    Returns:
        True if it was fetched, False if it was there already.

    Raises:
        FetchError: The server does not answer, or the content differs from the published hash.
    """
    if check(weight, roots, hashed=True)[0] == "present":
        return False
    if weight.root == "huggingface":
        _fetch_by_library(environment)
        return True
    target = locate(weight, roots)
    try:
        if weight.member:
            _fetch_member(weight, target)
        else:
            note_hash(target, download(weight.url, target, sha256=weight.sha256))
    except (DownloadError, OSError, zipfile.BadZipFile) as error:
        raise FetchError(str(error)) from error
    return True


def _fetch_member(weight: WeightFile, target: Path) -> None:
    """Fetches one file of a published zip, or unpacks all of it if the member is ``*``.

    A whole zip is a repository's folder, which torch.hub expects under a name of its own.
    """
    archive = target.parent.parent / f"{weight.name}.zip"
    download(weight.url, archive)
    with zipfile.ZipFile(archive) as content:
        if weight.member == "*":
            unpacked = archive.with_suffix(".unpacked")
            shutil.rmtree(unpacked, ignore_errors=True)
            content.extractall(unpacked)
            shutil.rmtree(target.parent, ignore_errors=True)
            next(unpacked.iterdir()).rename(target.parent)
            unpacked.rmdir()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + ".part")
            try:
                with content.open(weight.member) as source, part.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
            except KeyError as error:
                raise FetchError(f"{weight.url} has no {weight.member}") from error
            part.replace(target)
    archive.unlink()


def _fetch_by_library(environment: Path) -> None:
    command = [str(python_of(environment)), "-I", "-c", BERT_CODE]
    try:
        done = subprocess.run(
            command,
            env=isolated_variables(environment),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise FetchError(
            f"the environment's huggingface_hub fetches it: hiar-vbench setup ({error.strerror})"
        ) from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise FetchError(f"huggingface_hub failed: {said[-1][:200]}")
