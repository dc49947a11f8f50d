"""What every test needs of the process that runs it."""

import signal

# A shell without job control starts background jobs with Ctrl-C ignored, and children inherit
# that: the tests that interrupt real commands would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
