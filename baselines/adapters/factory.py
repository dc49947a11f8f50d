"""Chooses the adapter that runs a model and loads it."""

from baselines.adapters.adapter import Adapter, Options
from baselines.spec import ModelSpec
from hiar.errors import UsageError


def open_adapter(spec: ModelSpec, options: Options) -> Adapter:
    """Load a model.

    Raises:
        UsageError: If weights or an environment are missing (each is named with its place), or
            an option does not fit the model.
    """
    if options.num_steps is not None and spec.how == "hiar engine":
        raise UsageError(f"--steps does not fit {spec.key}: its step list is part of its weights")
    if spec.how == "hiar engine":
        from baselines.adapters.hiar_engine import HiarEngine  # noqa: PLC0415  (torch)

        return HiarEngine(spec, options)
    if spec.how == "diffusers pipeline":
        from baselines.adapters.diffusers_pipeline import DiffusersPipeline  # noqa: PLC0415

        return DiffusersPipeline(spec, options)
    from baselines.adapters.external_command import ExternalCommand  # noqa: PLC0415

    return ExternalCommand(spec, options)
