"""One file for each model, which holds its ``SPEC``; the distilled ones have a room of their own."""
