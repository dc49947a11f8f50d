"""The recipe of the isolated environment, as data; docs/protocols.md has the figures measured.

Upstream pins transformers 4.33.2, whose tokenizers has wheels up to Python 3.11 only, and numpy
below 2: it cannot live beside this toolkit.
"""

from dataclasses import dataclass
from pathlib import Path

from eval.protocol.dimensions import DIMENSIONS

PYTHON = (3, 11)  # tokenizers 0.13.3 has no wheel for 3.12; the pins want 3.11
CONSTRAINTS = Path(__file__).with_name("vbench_constraints.txt")
DETECTRON2 = (
    "git+https://github.com/facebookresearch/detectron2@02b5c4e295e990042a714712c21dc79b731e8833"
)
GRIT_DIMENSIONS = ("object_class", "multiple_objects", "color", "spatial_relationship")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the installation.

    Attributes:
        name: Short name of the step.
        packages: Requirements that pip installs.
        options: Further options of pip.
        modules: Modules that must import afterwards.
        gigabytes: Disk space that the step takes.
        minutes: Duration that was measured on two cores with a fast network.
        gives: Dimensions or protocols that the step makes possible.
        tools: Programs that must be installed beforehand.
    """

    name: str
    packages: tuple[str, ...]
    options: tuple[str, ...] = ()
    modules: tuple[str, ...]
    gigabytes: float
    minutes: float
    gives: str
    tools: tuple[str, ...] = ()


CORE = Step(
    name="core",
    # openai-clip and pyiqa import pkg_resources, which setuptools 81 dropped.
    packages=("vbench==0.1.5", "setuptools<81", "hydra-core", "black"),
    modules=(
        "vbench",
        *(f"vbench.{d.name}" for d in DIMENSIONS if d.name not in GRIT_DIMENSIONS),
    ),
    gigabytes=6.6,
    minutes=5,
    gives="12 dimensions",
)
LONG = Step(
    name="long",
    # Unpinned, dreamsim brings timm and peft releases that transformers 4.33.2 cannot load.
    packages=("scenedetect", "moviepy<2", "av", "dreamsim", "timm==1.0.12", "peft==0.5.0"),
    modules=("vbench2_beta_long", *(f"vbench2_beta_long.{d.name}" for d in DIMENSIONS[:7])),
    gigabytes=0.3,
    minutes=1,
    gives="VBench-Long",
)


def detectron2_step(source: str = DETECTRON2) -> Step:
    """Returns the step that builds detectron2, which is published as source only.

    Args:
        source: Source that pip builds from: a folder, an archive or a ``git+https`` address.
    """
    return Step(
        name="detectron2",
        # The core has its requirements, but a newer iopath than it asks for; so pip may not check.
        packages=(source,),
        options=("--no-build-isolation", "--no-deps"),
        modules=tuple(f"vbench.{name}" for name in GRIT_DIMENSIONS),
        gigabytes=0.2,
        minutes=4,
        gives=", ".join(GRIT_DIMENSIONS),
        tools=("g++", "git") if source.startswith("git+") else ("g++",),
    )
