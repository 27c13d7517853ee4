"""How a process that torchrun started joins the others, and how it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from boomerang.distill.parallel.devices import Devices
from boomerang.errors import TrainingFailed


def process_rank() -> int:
    """The rank that torchrun gave this process; 0 for one that it did not start."""
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


def leave(status: int) -> NoReturn:
    """End the process with a status."""
    if not dist.is_torchelastic_launched():
        sys.exit(status)
    # Threads of gloo may hold a last tensor, and abort where they let go of it while Python ends.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def joined() -> Iterator[Devices]:
    """Join the processes that torchrun started; without it, stay alone. On CUDA each has a device.

    Raises TrainingFailed where there are more processes on this machine than devices.
    """
    if not dist.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield Devices()
        return
    here, local = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    cuda = torch.cuda.is_available()
    if cuda and local > torch.cuda.device_count():
        raise TrainingFailed(
            f"{local} processes were started for {torch.cuda.device_count()} devices.",
            value=local,
            fix="Give torchrun an --nproc-per-node of at most that.",
        )
    if cuda:
        torch.cuda.set_device(here)
    store, rank, world = next(rendezvous("env://"))
    dist.init_process_group("nccl" if cuda else "gloo", store=store, rank=rank, world_size=world)
    group = dist.new_group(backend="gloo")
    yield Devices(rank, world, local, group, PrefixStore("boomerang", store))
    # After an error the process ends anyway, and this could wait for one that never answers.
    dist.destroy_process_group()
