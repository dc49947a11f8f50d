"""Fetches one of upstream's weights to where upstream looks for it."""

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from drift.files import file_sha256
from drift.metrics.weights.download import (
    MAIN,
    DownloadError,
    fetch_from_hub,
    fetch_url,
    is_offline,
)
from eval.upstream.weights import Root, WeightFile, check, locate, note_hash

BERT_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "model.safetensors",
)
"""Files of BERT's repository that transformers reads, all fetched into its cache at once."""


def fetch(weight: WeightFile, roots: Mapping[Root, Path]) -> bool:
    """Fetches a weight unless it is there.

    Args:
        weight: The weight to fetch.
        roots: The three folders that hold weights.

    Returns:
        True if it was fetched, False if it was there already.

    Raises:
        DownloadError: It cannot be fetched, or differs from the published hash.
    """
    if check(weight, roots, hashed=True)[0] == "present":
        return False
    if is_offline():
        raise DownloadError(f"HF_HUB_OFFLINE forbids to fetch {weight.address}: unset it")
    target = locate(weight, roots)
    if weight.root == "huggingface":
        for name in BERT_FILES:
            fetch_from_hub(weight.repo, name, revision=MAIN)
        return True
    if weight.repo:
        fetch_from_hub(
            weight.repo, weight.file_name, revision=MAIN, kind=weight.kind, target=target
        )
    elif weight.member:
        _fetch_member(weight, target)
    else:
        fetch_url(weight.url, target, sha256=weight.sha256)
    note_hash(target, file_sha256(target))
    return True


def _fetch_member(weight: WeightFile, target: Path) -> None:
    """Fetches one file of a published zip, or unpacks all of it if the member is ``*``.

    A whole zip is a repository's folder, which torch.hub expects under a name of its own.
    """
    archive = target.parent.parent / f"{weight.name}.zip"
    fetch_url(weight.url, archive)
    try:
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
                with content.open(weight.member) as source, part.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                part.replace(target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DownloadError(f"{weight.url} is no zip with {weight.member} ({error})") from error
    finally:
        archive.unlink()
