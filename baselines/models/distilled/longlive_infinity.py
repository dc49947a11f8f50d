"""LongLive 1.0 as its authors run it without end: the same weights, the sink aligned."""

from dataclasses import replace

from baselines.models.distilled import longlive
from baselines.spec import Setting
from baselines.wan_family import latent_length, release_weights

_CONFIG = "LongLive v1.0 e52d9ef configs/longlive_inference_infinity.yaml"

SPEC = replace(
    longlive.SPEC,
    key="longlive-infinity",
    label="LongLive 1.0, without end",
    weights=release_weights("longlive-infinity"),
    lengths=(*longlive.SPEC.lengths, latent_length(1050)),
    settings=(
        Setting(name="use_infinite_attention", value=True, source=_CONFIG, use="fact"),
        Setting(
            name="local_attn_size, sink_size",
            value="12 latent frames, the sink of 3 among them",
            source=_CONFIG,
            use="fact",
        ),
        Setting(name="num_output_frames", value=1050, source=_CONFIG, use="fact"),
    ),
    release="longlive-infinity",
    notes=(
        "The first 3 latent frames stay visible for ever, in rotary phase just before the window.",
        "A user's folder must hold the weights with the LoRA merged.",
    ),
)
