"""What every benchmark says of where it ran."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from thresher.jobs import versions


def machine() -> dict[str, Any]:
    """Processor, GPU, threads and versions, for the JSON of a benchmark."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": named[0] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
