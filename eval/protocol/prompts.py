"""VBench's suite of prompts, and the names that their videos must have.

Upstream finds a video by the name ``{prompt}-{i}.mp4``, even when the model was given a longer
version of the prompt. The suite is upstream's ``VBench_full_info.json``, which is read from the
isolated environment or from a file; this toolkit holds no copy of it.
"""

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drift.errors import UsageError
from eval.protocol.dimensions import DIMENSIONS

SUITE_FILE = "VBench_full_info.json"
# Source of all counts: Vchitect/VBench 45e79ec prompts/prompts_per_dimension and prompts/README.md.
NUM_PROMPTS = 946
PROMPTS_PER_DIMENSION = {
    "subject_consistency": 72,
    "background_consistency": 86,
    "temporal_flickering": 75,
    "motion_smoothness": 72,
    "dynamic_degree": 72,
    "aesthetic_quality": 93,
    "imaging_quality": 93,
    "object_class": 79,
    "multiple_objects": 82,
    "human_action": 100,
    "color": 85,
    "spatial_relationship": 84,
    "scene": 86,
    "appearance_style": 90,
    "temporal_style": 100,
    "overall_consistency": 93,
}
SAMPLES = 5
FILTERED = "temporal_flickering"
"""The dimension whose videos pass through VBench's static filter before they are measured."""
FILTERED_SAMPLES = 25
"""Samples that VBench makes for each of its prompts, so that five are left after the filter."""
SUFFIXES = (".mp4", ".gif")
_NAME_BYTES = 255  # longest file name on ext4, APFS and NTFS
_LONGEST_TAIL = "-24.mp4"


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One entry of a suite.

    Attributes:
        index: Position in the suite, from 0.
        text: The prompt after which the videos are named.
        dimensions: The dimensions that are measured on its videos.
        generate: The text that the model is given: ``text``, or a longer version of it.
    """

    index: int
    text: str
    dimensions: tuple[str, ...]
    generate: str

    def file_names(self, samples: int = SAMPLES, suffix: str = ".mp4") -> tuple[str, ...]:
        """File names of its videos, one for each sample."""
        return tuple(f"{self.text}-{i}{suffix}" for i in range(samples))


def find_suite(environment: Path) -> Path:
    """Path of the suite in the isolated environment.

    Raises:
        UsageError: The environment does not hold one.
    """
    found = sorted(environment.glob(f"lib/python3*/site-packages/vbench/{SUITE_FILE}"))
    if not found:
        raise UsageError(
            f"no {SUITE_FILE} in the environment {environment}: make it with `hiar-vbench setup`, "
            f"or give VBench's file with --suite FILE (its repository has vbench/{SUITE_FILE})"
        )
    return found[0]


def read_suite(path: Path) -> tuple[Prompt, ...]:
    """Reads prompts and their dimensions.

    Args:
        path: JSON list of ``{"prompt_en": str, "dimension": [str, ...]}``, upstream's format.

    Returns:
        The prompts in the file's order.

    Raises:
        UsageError: The file does not exist or has another format, a dimension is unknown, or a
            prompt cannot be a file name.
    """
    try:
        entries = json.loads(read_text(path))
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error}); give VBench's {SUITE_FILE}") from None
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path} is no list of prompts; give VBench's {SUITE_FILE}")
    return tuple(_parse_entry(path, index, entry) for index, entry in enumerate(entries))


def read_text(path: Path) -> str:
    """Reads a text file that a user gave.

    Raises:
        UsageError: It does not exist, cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8: save it as UTF-8") from None


def _parse_entry(path: Path, index: int, entry: object) -> Prompt:
    where = f"{path.name}, entry {index}"
    text = entry.get("prompt_en") if isinstance(entry, dict) else None
    names = entry.get("dimension") if isinstance(entry, dict) else None
    if not isinstance(text, str) or not isinstance(names, list) or not names:
        raise UsageError(f"{where}: expected prompt_en (text) and dimension (list of names)")
    unknown = [name for name in names if name not in PROMPTS_PER_DIMENSION]
    if unknown:
        raise UsageError(f"{where}: {unknown[0]!r} is none of the {len(DIMENSIONS)} dimensions")
    check_file_name(text, where)
    return Prompt(index=index, text=text, dimensions=tuple(names), generate=text)


def check_file_name(text: str, where: str) -> None:
    """Rejects a prompt that cannot name a file, or whose video would be hidden or elsewhere.

    Raises:
        UsageError: The prompt breaks a rule; the message names both.
    """
    shown = repr(text if len(text) <= 60 else text[:57] + "...")
    if not text.strip():
        raise UsageError(f"{where}: the prompt is empty; videos are named after it")
    if text != text.strip():
        raise UsageError(f"{where}: {shown} begins or ends with a space; remove it")
    if any(c in text for c in "/\\") or any(unicodedata.category(c) == "Cc" for c in text):
        raise UsageError(
            f"{where}: {shown} has a / or \\ or a control character; a prompt names a file"
        )
    if text.startswith("."):
        raise UsageError(f"{where}: {shown} begins with a dot: its video would be hidden or '..'")
    num_bytes = len((text + _LONGEST_TAIL).encode("utf-8", "surrogatepass"))
    if num_bytes > _NAME_BYTES:
        raise UsageError(
            f"{where}: {shown} makes a file name of {num_bytes} bytes, more than {_NAME_BYTES}; "
            "name the videos by the short prompt"
        )


def extend(prompts: Sequence[Prompt], path: Path) -> tuple[Prompt, ...]:
    """Gives each prompt the longer version of the same line.

    Args:
        prompts: Prompts of the suite.
        path: File with one longer prompt a line, in the suite's order.

    Returns:
        The prompts, whose videos keep the names of the short versions.

    Raises:
        UsageError: The number of lines differs, or a line is empty.
    """
    lines = read_lines(path)
    if len(lines) != len(prompts):
        raise UsageError(
            f"{path} has {len(lines)} prompts, the suite {len(prompts)}; give one longer prompt "
            "a line, in the suite's order"
        )
    return tuple(
        replace(prompt, generate=line) for prompt, line in zip(prompts, lines, strict=True)
    )


def read_lines(path: Path) -> tuple[str, ...]:
    """Reads the lines of a prompt file, such as MovieGen's list.

    Raises:
        UsageError: A line inside the file is empty.
    """
    lines = [line.strip() for line in read_text(path).rstrip().split("\n")]
    for number, line in enumerate(lines, 1):
        if not line:
            raise UsageError(f"{path}, line {number} is empty; write one prompt a line")
    return tuple(lines)


def select(prompts: Iterable[Prompt], dimensions: Sequence[str]) -> tuple[Prompt, ...]:
    """The prompts on whose videos at least one of the dimensions is measured."""
    wanted = set(dimensions)
    return tuple(prompt for prompt in prompts if wanted & set(prompt.dimensions))


def duplicates(prompts: Iterable[Prompt]) -> dict[str, tuple[int, ...]]:
    """Lines of each prompt that stands on several lines; one set of videos serves all of them."""
    lines: dict[str, list[int]] = defaultdict(list)
    for prompt in prompts:
        lines[prompt.text].append(prompt.index)
    return {text: tuple(found) for text, found in lines.items() if len(found) > 1}


def case_pairs(prompts: Iterable[Prompt]) -> tuple[tuple[str, ...], ...]:
    """Prompts that differ only in case or Unicode form, which some disks take for one name."""
    forms: dict[str, set[str]] = defaultdict(set)
    for prompt in prompts:
        forms[loose_form(prompt.text)].add(prompt.text)
    return tuple(tuple(sorted(texts)) for texts in forms.values() if len(texts) > 1)


def loose_form(name: str) -> str:
    """The form of a name that a disk compares if it ignores case and Unicode forms."""
    return unicodedata.normalize("NFC", name).casefold()


def count_differences(prompts: Iterable[Prompt]) -> tuple[str, ...]:
    """One line for each dimension whose number of prompts differs from VBench's."""
    counts = Counter(name for prompt in prompts for name in prompt.dimensions)
    return tuple(
        f"{name}: {counts[name]} prompts, VBench has {number}"
        for name, number in PROMPTS_PER_DIMENSION.items()
        if counts[name] != number
    )
