"""One video sampled by several processes, each of which owns consecutive denoising steps.

Import `stream_pipelined` from `stream`, `joined_group` from `group`. Imports the rest of
`hiar.sampling`, which knows nothing of this room.
"""
