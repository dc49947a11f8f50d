"""What a cache policy is: the rule by which a block sees earlier latent frames."""

from __future__ import annotations

from dataclasses import dataclass

from hiar.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """A rule for the earlier latent frames that a block sees.

    Attributes:
        name: Its name, as `hiar sample --cache` takes it.
        summary: The rule in one line.
        source: Where the rule is published.
        has_window: Whether it needs a window; without one, a block sees everything before it.
        has_sink: Whether it needs a sink.
        aligns_sink: Whether the sink moves in rotary phase so as to lie just before the window.
        average: What the sink keeps of itself whenever frames leave the window, the rest being
            theirs; None leaves its content alone.
    """

    name: str
    summary: str
    source: str
    has_window: bool = True
    has_sink: bool = True
    aligns_sink: bool = False
    average: float | None = None

    def check(self, window: int | None, sink: int, frames_per_block: int) -> None:
        """Raise unless a window and a sink fit the policy.

        Args:
            window: Latent frames visible, the sink included; None means all.
            sink: Latent frames of the sink.
            frames_per_block: Latent frames of a block.

        Raises:
            UsageError: In one line that names the policy, the rule and the remedy.
        """
        if sink < 0:
            raise UsageError(f"sink {sink} must be at least 0")
        if (window is not None) != self.has_window:
            remedy = "needs a window" if self.has_window else "has no window: set it to 0"
            raise UsageError(f"cache {self.name!r} {remedy}")
        if (sink > 0) != self.has_sink:
            remedy = "needs a sink of at least 1" if self.has_sink else "has no sink: set it to 0"
            raise UsageError(f"sink {sink}: cache {self.name!r} {remedy}")
        if window is not None and window < sink + frames_per_block:
            raise UsageError(
                f"window {window} must hold the sink ({sink}) and one block ({frames_per_block})"
            )
        whole = sink == frames_per_block and window is not None and window % frames_per_block == 0
        if self.average is not None and not whole:
            raise UsageError(
                f"window {window} and sink {sink}: with cache {self.name!r} whole blocks leave the "
                f"window and enter a sink of their size, so set the sink to {frames_per_block} and "
                f"the window to a multiple of {frames_per_block}"
            )
