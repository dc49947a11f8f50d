"""One video sampled by several processes, each of which owns consecutive denoising steps.

Import `stream_pipelined` from `stream`. Imports the rest of `hiar.sampling`, which knows nothing of
this room.
"""
