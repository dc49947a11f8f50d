"""Stands in for torch: devices by name, and as many GPUs as the behaviour file says."""

import json
import os
from pathlib import Path


def device(name):
    return name


class cuda:  # noqa: N801  (torch's name)
    @staticmethod
    def device_count():
        return json.loads(Path(os.environ["FAKE_VBENCH"]).read_text()).get("gpus", 0)
