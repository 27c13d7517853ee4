"""Teacher and student on many devices: replicas, or shards (torch.distributed.fsdp.fully_shard).

Replicas sum their gradients once a step. Of shards each layer of either model is a unit that is
gathered when it is needed; embeddings, norm and head of both are gathered for a whole pass, because
the losses take the heads as matrices.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from boomerang.distill.job import Placement
from boomerang.distill.memory.estimate import MemoryEstimate
from boomerang.distill.parallel.devices import Devices
from boomerang.modules.accelerator import device
from boomerang.modules.couple import Couple

T = TypeVar("T")

ROOM = 0.9
"""The part of a device's free memory that a replica may be estimated to take."""


def placement(
    replica: MemoryEstimate, available: int, devices: Devices, asked: Placement | None = None
) -> Placement:
    """What is asked for, or shards only where a replica has no room for one sequence at a time.

    `available` are the bytes that every device has free.
    """
    if devices.alone:
        return Placement.REPLICAS
    fits = replica.bytes(1) <= ROOM * available
    return asked or (Placement.REPLICAS if fits else Placement.SHARDS)


class Root(nn.Module):
    """Teacher and student as one module, whose forward pass is whatever is asked of the two.

    Of shards a pass runs inside of it, so that FSDP knows where one begins and ends.
    """

    def __init__(self, couple: Couple) -> None:
        super().__init__()
        self.teacher: nn.Module = couple.teacher.model
        self.student: nn.Module = couple.student.model

    def forward(self, work: Callable[[], T]) -> T:
        """What `work` makes."""
        return work()

    def gather_no_more(self) -> None:
        """Give back what a pass without a backward pass has left gathered."""
        if isinstance(self, FSDPModule):
            self.reshard()

    def forget(self) -> None:
        """Leave a pass that broke off, with its gradients; what was gathered is given back."""
        if isinstance(self, FSDPModule):
            self.reset_iter_state()


def sharded(couple: Couple, devices: Devices) -> Root:
    """Both models with their weights divided among the devices, in place.

    Gradients are summed over the processes, in float32.
    """
    root = Root(couple)
    mesh = init_device_mesh(device().type, (devices.world,))
    for layer in (*couple.teacher.layers, *couple.student.layers):
        fully_shard(layer, mesh=mesh)
    fully_shard(root, mesh=mesh)
    gather: Any = _Gather(devices)
    reduce: Any = _Reduce(devices)
    for module in root.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
            module.set_custom_all_gather(gather)
            module.set_custom_reduce_scatter(reduce)
    return root


class _Met:
    """A collective that all processes enter, or none: they meet before it.

    A process that ran out of memory in the middle of a pass is heard here, and the others do not
    wait for it in vain.
    """

    def __init__(self, devices: Devices) -> None:
        self.devices = devices

    def allocate(
        self, size: Sequence[int | torch.SymInt], *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """A buffer of the ordinary allocator."""
        return torch.empty(*size, dtype=dtype, device=device)


class _Gather(_Met):
    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: dist.ProcessGroup,
        async_op: bool = False,
    ) -> dist.Work | None:  # fmt: skip
        self.devices.meet()
        work: dist.Work | None = dist.all_gather_single(
            output_tensor, input_tensor, group, async_op
        )
        return work


class _Reduce(_Met):
    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: dist.ProcessGroup,
        op: dist.ReduceOp.RedOpType, async_op: bool = False,
    ) -> dist.Work | None:  # fmt: skip
        self.devices.meet()
        work: dist.Work | None = dist.reduce_scatter_single(
            output_tensor, input_tensor, op, group, async_op
        )
        return work


def sum_gradients(parameters: Iterable[nn.Parameter], devices: Devices) -> None:
    """Have every replica hold the sum of all their gradients, in float32; all must call it.

    A weight that has a gradient nowhere is left without, as in one process.
    """
    if devices.alone:
        return
    weights = list(parameters)
    here = torch.tensor([p.grad is not None for p in weights], dtype=torch.float32)
    summed = [p for p, found in zip(weights, devices.sum(here).tolist(), strict=True) if found]
    for parameter in summed:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    # Whoever had no room for the zeros is heard before the others wait for it.
    devices.meet()
    # In place: a bucket would be a copy, and one reduction a step is not bound by its launches.
    works = [dist.all_reduce(p.grad, async_op=True) for p in summed]
    for work in works:
        work.wait()


def whole(tensor: Tensor) -> Tensor:
    """A tensor in full; all processes must ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def placed(full: Tensor, like: Tensor) -> Tensor:
    """A full tensor as `like` is kept: on its device, and where that is sharded, this shard."""
    if not isinstance(like, DTensor):
        return full.to(like.device)
    # Every process has read the whole: nothing needs to be sent.
    mesh, places = like.device_mesh, like.placements
    return distribute_tensor(full.to(like.device), mesh, places, src_data_rank=None)


def gathered(state: Mapping[str, Tensor], devices: Devices) -> dict[str, Tensor]:
    """Every tensor in full in the first process, and nothing in the others; shards on the CPU.

    Names that share a tensor share it again. All processes must call it.
    """
    if not any(isinstance(tensor, DTensor) for tensor in state.values()):
        return {name: tensor.detach() for name, tensor in state.items()} if devices.first else {}
    made: dict[int, Tensor] = {}
    for tensor in state.values():
        if id(tensor) not in made:
            devices.meet()
            full = whole(tensor.detach())
            made[id(tensor)] = full.cpu() if devices.first else full.new_empty(0)
    return {name: made[id(tensor)] for name, tensor in state.items()} if devices.first else {}


def clip(parameters: Iterable[nn.Parameter], most: float) -> float:
    """Clip gradients by their norm over all parameters and all devices; return it."""
    weights = list(parameters)
    norm = whole(get_total_norm([p.grad for p in weights if p.grad is not None]))
    clip_grads_with_norm_(weights, most, norm)
    return float(norm)
