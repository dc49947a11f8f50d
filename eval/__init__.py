"""VBench harness: prompts, layout, isolated runner, scores."""
