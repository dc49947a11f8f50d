"""The embedded default: a small world, its prompts, and the tiny models trained on it."""
