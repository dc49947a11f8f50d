"""The forms of a published fact: a value with its source, a speed with what it counts."""

from dataclasses import dataclass
from typing import Literal

NOT_KNOWN = "not known"
_GITHUB = "https://github.com/"

Included = Literal["yes", "no", "not said"]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A value and where it is said."""

    value: str = NOT_KNOWN
    source: str = ""

    def __post_init__(self) -> None:
        """Refuses a value without a source."""
        if (self.value == NOT_KNOWN) == bool(self.source):
            raise ValueError(f"{self.value!r}: a value has a source, what is not known has none")


@dataclass(frozen=True, kw_only=True)
class PublishedSpeed:
    """A speed that a model's authors published, with what it counts.

    Attributes:
        model: Key of the model.
        fps: Frames of video a second.
        kind: Whether it is of steady blocks, or of a whole video from end to end.
        hardware: Number and kind of the GPUs, precision and kernels where they are said.
        passes_per_block: Passes of the transformer for a block; None if not known.
        decode: Whether decoding is inside.
        text: Whether encoding the prompt is inside.
        source: Where it is said.
    """

    model: str
    fps: float
    kind: Literal["steady", "end to end", "not said"]
    hardware: str
    passes_per_block: int | None = None
    decode: Included = "not said"
    text: Included = "not said"
    source: str

    def __post_init__(self) -> None:
        """Refuses a speed without a source."""
        if not self.source or self.fps <= 0:
            raise ValueError(f"{self.model}: a speed is above 0 and has a source")


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """A published number that users measured again and did not get.

    Attributes:
        model: Name of the model.
        what: The quantity, with unit and conditions.
        published: Published value.
        measured: What users got.
        link: The thread in which they say so.
        cause: Known or likely cause; empty if there is none.
    """

    model: str
    what: str
    published: str
    measured: str
    link: str
    cause: str = ""

    def __post_init__(self) -> None:
        """Refuses a dispute without its thread."""
        if not self.link.startswith(_GITHUB):
            raise ValueError(f"{self.model}, {self.what}: give the thread's address")

    @property
    def thread(self) -> str:
        """The repository and the number of the thread."""
        return self.link.removeprefix(_GITHUB).replace("/issues/", " ")


@dataclass(frozen=True, kw_only=True)
class FieldModel:
    """A model that is known here but not run.

    Attributes:
        key: Name on the command line.
        label: Name to display.
        base: What it was made from.
        code: Repository and the commit that was read.
        weights: Repository and files; whether a revision is known.
        licence: Licence of code or weights.
        trained: Length of the videos that it was trained on.
        context: What a block sees: window, sink, rule of the cache, changes to attention.
        why_not: What is missing here to run it, in a few words.
        paper: Its paper.
    """

    key: str
    label: str
    base: Fact = Fact()
    code: Fact = Fact()
    weights: Fact = Fact()
    licence: Fact = Fact()
    trained: Fact = Fact()
    context: Fact = Fact()
    why_not: str
    paper: Fact = Fact()

    def facts(self) -> dict[str, Fact]:
        """The facts by name, in the order of display."""
        names = ("base", "code", "weights", "licence", "trained", "context", "paper")
        return {name: getattr(self, name) for name in names}
