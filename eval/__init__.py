"""The VBench harness: prompts, checks of video folders, runs of upstream's code, and scores."""
