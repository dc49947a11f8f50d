"""Commands of ``hiar-vbench``, a file each: `add_arguments(parser)` and `run(arguments)`."""
