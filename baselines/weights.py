"""Which weights of a model are on this machine."""

from pathlib import Path

from baselines.spec import ModelSpec
from hiar.errors import UsageError
from hiar.weights.local import WeightStatus, best_place, describe_missing, find, find_together


def check_weights(spec: ModelSpec, folder: Path) -> tuple[WeightStatus, ...]:
    """Looks for all weights that a model needs.

    Args:
        spec: The model.
        folder: The weights folder; see ``hiar.weights.local.weights_folder``.

    Returns:
        One status for each needed file or folder, in the spec's order. A pipeline or a program
        reads all of them from one folder, `hiar` each from where it is.
    """
    if spec.release is not None:
        return tuple(find(file, folder) for file in spec.weights)
    return find_together(spec.weights, folder)


def require_weights(spec: ModelSpec, folder: Path) -> Path:
    """Checks that all weights of a model exist.

    Returns:
        The folder of its repository that holds them.

    Raises:
        UsageError: Weights are missing; the message names each with its address and its place.
    """
    missing = [status for status in check_weights(spec, folder) if not status.present]
    if missing:
        named = "; ".join(describe_missing(status) for status in missing)
        raise UsageError(
            f"weights of {spec.key} are missing: {named}; get them with: hiar-baselines fetch "
            f"{spec.key} (it checks each file's published hash), or pass --weights FOLDER"
        )
    return best_place(spec.weights, folder)
