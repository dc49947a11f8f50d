"""All models: those of the paper's Table 1 in its order, then others."""

from baselines.field.models import FIELD
from baselines.models import (
    ltx_video,
    magi_1_4_5b,
    nova,
    pyramid_flow,
    skyreels_v2_1_3b,
    wan2_1_1_3b,
)
from baselines.models.distilled import (
    causal_forcing,
    causal_forcing_framewise,
    causvid,
    hiar,
    infinity_rope,
    longlive,
    longlive_infinity,
    reward_forcing,
    self_forcing,
)
from baselines.spec import ModelSpec
from hiar.errors import UsageError

MODELS: tuple[ModelSpec, ...] = (
    ltx_video.SPEC,
    wan2_1_1_3b.SPEC,
    nova.SPEC,
    pyramid_flow.SPEC,
    skyreels_v2_1_3b.SPEC,
    magi_1_4_5b.SPEC,
    causvid.SPEC,
    self_forcing.SPEC,
    causal_forcing.SPEC,
    hiar.SPEC,
    causal_forcing_framewise.SPEC,
    longlive.SPEC,
    longlive_infinity.SPEC,
    infinity_rope.SPEC,
    reward_forcing.SPEC,
)


class UnknownModelError(UsageError):
    """No model has the given name; the message is one line."""


def find_model(key: str) -> ModelSpec:
    """Returns the spec of one model.

    Args:
        key: The model's key, such as "self-forcing".

    Raises:
        UnknownModelError: No model that runs has this key.
    """
    for spec in MODELS:
        if spec.key == key:
            return spec
    for model in FIELD:
        if model.key == key:
            raise UnknownModelError(
                f"{model.label} does not run here: {model.why_not}; `hiar-baselines show {key}` "
                "has what is published of it"
            )
    known = ", ".join(spec.key for spec in MODELS)
    raise UnknownModelError(f"unknown model {key!r}; choose one of: {known}")
