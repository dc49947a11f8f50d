"""All cache policies, by name."""

from __future__ import annotations

from hiar.errors import UsageError
from hiar.sampling.cache_policies import aligned_sink, averaged_sink, sink, whole_video, window
from hiar.sampling.cache_policies.policy import CachePolicy

POLICIES: tuple[CachePolicy, ...] = (
    whole_video.POLICY, window.POLICY, sink.POLICY, aligned_sink.POLICY, averaged_sink.POLICY,
)  # fmt: skip
POLICY_NAMES = tuple(policy.name for policy in POLICIES)


def find_policy(name: str) -> CachePolicy:
    """A policy by its name.

    Raises:
        UsageError: If there is none of that name.
    """
    for policy in POLICIES:
        if policy.name == name:
            return policy
    raise UsageError(f"cache {name!r} is unknown: use one of {', '.join(POLICY_NAMES)}")


def default_policy(window_frames: int | None, sink_frames: int) -> CachePolicy:
    """The policy of a window and a sink for which none is named."""
    if sink_frames:
        return sink.POLICY
    return whole_video.POLICY if window_frames is None else window.POLICY
