"""What stands at both ends of the model: prompts to embeddings, latents to pictures and mp4.

Imports `hiar.weights`, `hiar.model` and `hiar.runtime`; knows nothing of `hiar.tiny`.
"""
