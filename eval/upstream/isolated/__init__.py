"""Code that runs inside VBench's own environment, as a script, without the toolkit."""
