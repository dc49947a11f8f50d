"""A start of the tiny model imports nothing that takes seconds and is not needed."""

import subprocess
import sys

SLOW = ("diffusers", "transformers", "torch._dynamo", "sympy")
CODE = f"""
import sys
from hiar.pipeline import HiARPipeline
pipeline = HiARPipeline.from_pretrained("tiny")
pipeline("a plain red disc moves up over a grey background", num_frames=9)
print(*[name for name in {SLOW} if name in sys.modules])
"""


def test_sampling_imports_no_compiler_and_no_model_library() -> None:
    """In a process of its own: the tests themselves import all of them."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
