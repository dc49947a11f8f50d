"""What every distilled causal Wan model shares: base weights, size, rate and lengths."""

from baselines.spec import Length, WeightFile

WAN_REPO = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
# The checkpoints hold the transformer only; text encoder and VAE are the base model's.
TEXT_AND_VAE = (
    WeightFile(repo=WAN_REPO, path="text_encoder/", present="*.safetensors"),
    WeightFile(repo=WAN_REPO, path="tokenizer/"),
    WeightFile(repo=WAN_REPO, path="vae/", present="*.safetensors"),
)
HEIGHT_PX = 480
WIDTH_PX = 832
FPS = 16
# num_frames = 4 (num_latent_frames - 1) + 1: 21 latent frames are 81, 81 latent frames are 321.
SHORT = Length(num_frames=81, setting="21 latent frames")
LONG = Length(num_frames=321, setting="81 latent frames, window 21")
