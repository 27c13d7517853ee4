"""The machine: GPUs as torch sees them in a process of its own, and how many files may be open."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.finding import Finding, fail, ok, warn

GPU_SECONDS = 90.0
"""How long torch may take to be loaded and to compute something."""
FEW_FILES = 4096
"""Files that a front end with many downloads should be able to have open."""
_DRIVER = Path("/proc/driver/nvidia/version")
_LOOK = """
import json, torch
found = {"torch": torch.__version__, "cuda": torch.version.cuda, "devices": []}
found["nccl"] = torch.distributed.is_available() and torch.distributed.is_nccl_available()
for index in range(torch.cuda.device_count()):
    about = torch.cuda.get_device_properties(index)
    ones = torch.ones(64, 64, device=f"cuda:{index}", dtype=torch.bfloat16)
    free, _ = torch.cuda.mem_get_info(index)
    found["devices"].append({
        "name": about.name, "memory": about.total_memory, "free": free,
        "computes": (ones @ ones).sum().item() == 64.0**3,
        "bf16": torch.cuda.is_bf16_supported(including_emulation=False),
    })
print(json.dumps(found))
"""


def gpu(settings: Settings) -> Iterator[Finding]:
    """Whether torch has GPUs here, and computes on them."""
    try:
        # The settings of the service are none of torch's business.
        done = subprocess.run(
            [sys.executable, "-c", _LOOK], capture_output=True, text=True, timeout=GPU_SECONDS,
            env={k: v for k, v in os.environ.items() if not k.startswith(("BOOMERANG_", "HF_"))},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        yield fail("gpu", f"torch has not computed anything within {GPU_SECONDS:g} s.",
                   "Look at `nvidia-smi`, and at the kernel's log.")  # fmt: skip
        return
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        if "ModuleNotFoundError" in said:
            yield ok("gpu", "There is no torch here: this is no place to distil or measure.")
        else:
            yield fail("gpu", f"torch fails: {said}", "Look at the driver, and at what torch was "
                       "built for.", done.returncode)  # fmt: skip
        return
    yield from gpus(json.loads(done.stdout), _DRIVER.exists())


def gpus(found: dict[str, Any], driver: bool) -> Iterator[Finding]:
    """What torch says of the devices; `driver` says that there is one for NVIDIA's."""
    devices = found["devices"]
    if not devices:
        if driver and found["cuda"] is None:
            yield fail("gpu", "There is a driver, and torch was built without CUDA.",
                       "Install torch as docker/gpu-worker.Dockerfile does.",
                       found["torch"])  # fmt: skip
        elif driver:
            yield fail("gpu", "There is a driver, and torch sees no device.",
                       "Look at CUDA_VISIBLE_DEVICES, `nvidia-smi`, and whether the container was "
                       "given one.", found["torch"])  # fmt: skip
        else:
            yield warn("gpu", "There is none: only small students can be distilled here.",
                       "Have a worker with a GPU listen to distill and measure.",
                       found["torch"])  # fmt: skip
        return
    told = ", ".join(f"{one['name']} ({one['memory'] / 1e9:.0f} GB)" for one in devices)
    wrong = [str(index) for index, one in enumerate(devices) if not one["computes"]]
    if wrong:
        yield fail("gpu", f"Devices {', '.join(wrong)} compute wrongly.",
                   "Take them out (CUDA_VISIBLE_DEVICES), and look at them.", told)  # fmt: skip
    else:
        yield ok("gpu", f"torch {found['torch']} computes on {told}.", devices)
    if not all(one["bf16"] for one in devices):
        yield warn("bfloat16", "Not every device has bfloat16: distilling is slower there.",
                   "Use devices from Ampere on.")  # fmt: skip
    used = [one["name"] for one in devices if one["free"] < 0.5 * one["memory"]]
    if used:
        yield warn("gpu's memory", f"{len(used)} devices have less than half of their memory free.",
                   "Look at `nvidia-smi` for who else uses them.", used)  # fmt: skip
    if len(devices) > 1 and not found["nccl"]:
        yield fail("nccl", "There are several devices, and torch was built without NCCL.",
                   "Install torch's CUDA build, or set BOOMERANG_TRAINER_DEVICES=1.")  # fmt: skip


def files(settings: Settings) -> Iterator[Finding]:
    """How many files and connections a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        yield warn("open files", f"A process may have {soft:,} open; each download takes two.",
                   f"ulimit -n {FEW_FILES} (LimitNOFILE= of systemd, nofile of Docker); "
                   f"{hard:,} are allowed.", soft)  # fmt: skip
    else:
        yield ok("open files", f"A process may have {soft:,} open.", soft)
