"""SkyReels-V2-DF-1.3B-540P, autoregressive by diffusion forcing."""

from baselines.spec import Length, ModelSpec, Setting, diffusers_layout

_REPOSITORY = "SkyReels-V2 abed76f README and generate script"
_PIPELINE = "diffusers 0.42.1 SkyReelsV2DiffusionForcingPipeline"
_LONG = "overlap_history=17, addnoise_condition=20"

SPEC = ModelSpec(
    key="skyreels-v2-1.3b",
    label="SkyReels-V2-1.3B",
    kind="autoregressive",
    how="diffusers pipeline",
    entry="diffusers.SkyReelsV2DiffusionForcingPipeline",
    weights=diffusers_layout("Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers"),
    licence="Skywork licence",
    height_px=544,
    width_px=960,
    fps=24,
    lengths=(
        Length(num_frames=97, setting="num_frames=97"),
        Length(num_frames=257, setting=f"num_frames=257, {_LONG}"),
        Length(num_frames=377, setting=f"num_frames=377, {_LONG}"),
        Length(num_frames=497, setting=f"num_frames=497, {_LONG}; trim to 481 for 20 s"),
        Length(num_frames=737, setting=f"num_frames=737, {_LONG}"),
        Length(num_frames=1457, setting=f"num_frames=1457, {_LONG}"),
    ),
    settings=(
        Setting(name="height, width", value="544, 960", source=_PIPELINE),
        Setting(name="num_inference_steps", value="50", source=_REPOSITORY),
        Setting(name="guidance_scale", value="6.0", source=_PIPELINE),
        Setting(name="flow_shift", value="8.0, UniPC", source=_PIPELINE),
        Setting(name="base_num_frames", value="97", source=_PIPELINE),
        Setting(name="overlap_history", value="17", source=_PIPELINE),
        Setting(name="addnoise_condition", value="20", source=_PIPELINE),
        Setting(name="ar_step", value="0 (synchronous)", source=_REPOSITORY),
    ),
    notes=(
        "497 frames follow from the pipeline's arithmetic, 97 + 5 x 80; this length was read, "
        "not run.",
    ),
)
