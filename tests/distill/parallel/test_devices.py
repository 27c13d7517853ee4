"""Two processes train what one trains: started by torchrun, stopped, killed, out of memory."""

import os
import signal
import socket
import sys
from contextlib import nullcontext
from pathlib import Path
from subprocess import PIPE, Popen
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist

from boomerang.distill import __main__ as trainer
from boomerang.distill.learner import Learner
from boomerang.distill.objective.losses import Losses
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.trainer import Trainer
from boomerang.service.settings import Settings
from tests.distill.jobs import events, job, told
from tests.distill.test_survival import EACH, curve, of_kind, weights
from tests.support.places import ROOT
from workers.training.trainer import trainer_command

pytestmark = pytest.mark.slow("several processes of torch that wait for each other")

OPERATIONS = ROOT / "docs/operations.md"
NARROW = Path(__file__).with_name("narrow_trainer.py")


def torchrun(path: Path, *trainer: str) -> Popen[str]:
    """Start the trainer, or another script, in two processes, as a worker does."""
    command = trainer_command(Settings(trainer_devices=2))
    assert command[-2:] == ("-m", "boomerang.distill")
    return begun([*command[:-2], *(trainer or command[-2:]), str(path)])


def begun(command: list[str]) -> Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=environment)


def documented(start: str, **told: str) -> list[str]:
    """A command of docs/operations.md that begins like this, with some of its words replaced."""
    text = OPERATIONS.read_text().replace("\\\n", " ")
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    words = [told.get(word, word) for word in line.split()]
    assert words.pop(0) == "torchrun"
    return [sys.executable, "-m", "torch.distributed.run", *words]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        return int(taken.getsockname()[1])


def two_machines(path: Path) -> tuple[Popen[str], Popen[str]]:
    """The trainer as on two machines of one device each; one of them speaks."""
    here = f"localhost:{free_port()}"
    command = documented(
        "torchrun --nnodes",
        **{"8": "1", "HOST:29400": here, "NAME": path.stem, "JOB.json": str(path)},
    )
    rank = command.index("-m", 3)
    command[rank:rank] = ["--local-addr", "localhost"]
    return begun(command), begun(command)


def ended(process: Popen[str]) -> tuple[int, list[dict[str, Any]]]:
    """Its exit status and the events that are left."""
    output, log = process.communicate(timeout=120)
    assert "Traceback" not in log.partition("ChildFailedError")[0] or process.returncode, log
    return process.returncode, events(output)


def until(process: Popen[str], kind: str, step: int) -> list[dict[str, Any]]:
    """The events up to one of a kind."""
    assert process.stdout is not None
    said: list[dict[str, Any]] = []
    for line in process.stdout:
        said += events(line)
        if said[-1]["event"] == kind and said[-1]["step"] >= step:
            return said
    raise AssertionError(f"It ended before {kind} {step}: {process.communicate()[1]}")


def second(process: Popen[str]) -> int:
    """The process id of rank 1."""
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes():
            return int(child)
    raise AssertionError("There is no second process.")


def halved(said: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """How the micro-batch was halved, before and after."""
    return [(e["before"], e["micro_batch"]) for e in of_kind(said, "memory")]


def assert_same_student(folder: Path, one: str, other: str) -> None:
    expected, found = weights(folder, one), weights(folder, other)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        most = 1e-5 * float(tensor.abs().max())
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=most)


@pytest.mark.long("two processes of torch, twice")
def test_shards_then_replicas_make_the_losses_and_the_student_of_one_process(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {
        "steps": 9, "batch_tokens": 15 * 16, "micro_batch": 8, "freeze_embeddings": False,
        "activation_checkpointing": True, "separate_documents": True,
    }  # fmt: skip
    path = job(folder, "two", recipe=recipe, placement="shards", **EACH)
    process = torchrun(path, str(NARROW))
    status, one = told(job(folder, "one", recipe=recipe, **EACH), capsys)
    assert status == 0
    seen = until(process, "checkpoint", 2)
    assert halved(seen) == [(8, 4), (4, 2)]
    (began,) = of_kind(seen, "estimate")
    assert began["placement"] == "shards"
    assert began["memory_bytes"] < of_kind(one, "estimate")[0]["memory_bytes"]
    os.kill(second(process), signal.SIGTERM)
    status, rest = ended(process)
    assert (status, rest[-1]["event"]) == (1, "checkpoint")
    path = job(folder, "two", recipe=recipe, **EACH)
    machines = two_machines(path)
    (status, said), (other, more) = (ended(machine) for machine in machines)
    # Which of them has the first process, and speaks, is for the rendezvous to say.
    assert (status, other, min(len(said), len(more))) == (0, 0, 0)
    said += more
    assert said[-1]["event"] == "done"
    assert of_kind(said, "estimate")[0]["placement"] == "replicas"
    assert of_kind(said, "start")[0]["step"] == rest[-1]["step"] < 9
    assert curve(seen + rest + said) == pytest.approx(curve(one), rel=1e-5)
    assert_same_student(folder, "one", "two")


@pytest.mark.long("several processes of torch that fall and begin again")
def test_out_of_memory_in_one_halves_for_all_and_what_was_killed_goes_on_in_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {"steps": 12, "batch_tokens": 15 * 16, "micro_batch": 8}
    path = job(folder, "narrow", recipe=recipe, **EACH)
    process = torchrun(path, str(NARROW))
    status, roomy = told(job(folder, "roomy", recipe=recipe, **EACH), capsys)
    assert status == 0
    seen = until(process, "checkpoint", 2)
    assert of_kind(seen, "estimate")[0]["placement"] == "replicas"
    assert halved(seen) == [(8, 4), (4, 2)]
    os.kill(second(process), signal.SIGKILL)
    status, rest = ended(process)
    assert (status, rest[-1]["event"], rest[-1]["slug"]) == (1, "error", "training-failed")
    assert "Another process of this run has ended" in rest[-1]["detail"]
    assert not (folder / "narrow-student").exists()
    status, said = told(path, capsys)
    assert status == 0
    assert of_kind(said, "start")[0]["step"] == of_kind(seen + rest, "checkpoint")[-1]["step"]
    assert curve(seen + rest + said) == pytest.approx(curve(roomy), rel=1e-5)
    assert_same_student(folder, "roomy", "narrow")


@pytest.mark.parametrize("micro_batch", [1, 2, 8])
def test_replicas_reduce_each_gradient_once_a_step_however_many_passes_it_has(
    micro_batch: int, folder: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The first of two processes; what the other would say and add is nothing."""
    passes, sent, steps = [0], list[torch.Tensor](), list[tuple[int, set[int]]]()
    computes, updates = Learner.losses, Trainer._update

    def passed(self: Learner, *wanted: Any) -> Losses:
        passes[0] += 1
        return computes(self, *wanted)

    def reduced(tensor: torch.Tensor, *_: Any, **__: Any) -> Any:
        sent.append(tensor)
        return SimpleNamespace(wait=lambda: None)

    def updated(self: Trainer, *step: Any) -> None:
        passes[0], sent[:] = 0, []
        updates(self, *step)
        # A weight whose block was patched in all passes has none.
        gradients = [w.grad for w in self.learner.parameters.values() if w.grad is not None]
        found = {sum(tensor is gradient for tensor in sent) for gradient in gradients}
        steps.append((passes[0], found))

    monkeypatch.setattr(dist, "all_reduce", reduced)
    monkeypatch.setattr(dist, "broadcast_object_list", lambda *_, **__: None)
    monkeypatch.setattr(trainer, "joined", lambda: nullcontext(Devices(0, 2)))
    monkeypatch.setattr(Learner, "losses", passed)
    monkeypatch.setattr(Trainer, "_update", updated)
    recipe = {"steps": 3, "batch_tokens": 16 * 16, "micro_batch": micro_batch}
    status, said = told(job(folder, recipe=recipe), capsys)
    assert (status, of_kind(said, "estimate")[0]["placement"]) == (0, "replicas")
    assert steps == [(8 // micro_batch, {1})] * 3


def test_a_worker_starts_what_the_documentation_says() -> None:
    told = documented("torchrun --standalone", **{"4": "2"})
    assert (*trainer_command(Settings(trainer_devices=2)), "JOB.json") == tuple(told)
    assert trainer_command(Settings(trainer_devices=1))[1:] == ("-m", "boomerang.distill")
    assert trainer_command(Settings(trainer=("mine",), trainer_devices=2)) == ("mine",)


@pytest.mark.long("several processes of torch that fall and begin again")
def test_all_leave_for_the_reason_of_the_one_that_fell_and_sum_what_any_of_them_has(
    tmp_path: Path,
) -> None:
    process = torchrun(tmp_path, str(Path(__file__).with_name("meeting.py")))
    output, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    summed = "[[11.0], [2.0], [20.0], None] {'loss': 4.0, 'ce': 3.0, 'kl': 2.0, 'cosine': 1.0}"
    assert sorted(output.splitlines()) == [
        "0: 2",
        "0: MemoryError no room of its own",
        "0: MemoryError: no room",
        "0: Stopped",
        "0: TrainingFailed: Process 1 of the trainer stopped: a bug.",
        f"0: {summed}",
        "0: first, then second",
        "0: stopped",
        "1: 2",
        "1: MemoryError no room of its own",
        "1: MemoryError: no room",
        "1: Stopped",
        "1: ValueError: a bug",
        f"1: {summed}",
        "1: first, then second",
        "1: stopped",
    ]
