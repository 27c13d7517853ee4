"""How a student begins, what is trained of it, and how it is written: verified, then renamed."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.initialization import no_init_weights

from boomerang.architecture.anatomy import dissect
from boomerang.assembly.writing import on_disk
from boomerang.checkpoint.files import CONFIG, GENERATION_CONFIG, RECORD, STUDENT_CONFIG, tokenizes
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import TrainingFailed
from boomerang.family.composition import Choice, Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.member_config import member_config
from boomerang.family.pair import Pair
from boomerang.modules.causal import Causal
from boomerang.modules.load import DTYPES
from boomerang.modules.verify import verify, verify_kinds


def student_config(teacher: Checkpoint, layermap: LayerMap) -> dict[str, Any]:
    """The student's config.json: the teacher's, with depth and per-layer lists in step.

    Raises UnsupportedArchitecture where a list does not follow.
    """
    return config_of(Pair.planned(teacher, layermap, frozen=True))


def config_of(pair: Pair) -> dict[str, Any]:
    """The config.json of the student of a pair. Raises as `student_config`."""
    itself = Composition.of(pair.layermap, [Choice.STUDENT] * len(pair.layermap.kept))
    return member_config(pair, itself)


def initialise(teacher: Causal, config: Mapping[str, Any], layermap: LayerMap) -> Causal:
    """A student in float32 on the teacher's device: its kept layers and everything outside them.

    In evaluation mode, so that dropout is off: teacher and student are compared token by token.
    """
    fields = {key: value for key, value in config.items() if key != "model_type"}
    settings = AutoConfig.for_model(config["model_type"], **fields)
    with no_init_weights():
        model = AutoModelForCausalLM.from_config(
            settings, dtype=torch.float32, trust_remote_code=False
        )
    model.tie_weights()
    student = Causal(model.eval().to(teacher.device))
    for to, of in zip(student.ends, teacher.ends, strict=True):
        to.load_state_dict(of.state_dict())
    for j, index in enumerate(layermap.kept):
        student.layers[j].load_state_dict(teacher.layers[index].state_dict())
    return student


def freeze(student: Causal) -> None:
    """Keep the embeddings as they are; a head tied to them is frozen with them."""
    for module in student.embeddings:
        module.requires_grad_(False)


def share(student: Causal, teacher: Causal) -> None:
    """Let a student whose embeddings are frozen use its teacher's, where they have one dtype."""
    tied = student.tied
    for mine, theirs in zip(student.embeddings, teacher.embeddings, strict=True):
        ours, its = mine.get_parameter("weight"), theirs.get_parameter("weight")
        if ours.dtype is its.dtype:
            mine.register_parameter("weight", its)
    if tied:
        student.model.lm_head.weight = student.tokens.weight


def trained(student: Causal) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by module name; a tied one appears once."""
    return {name: p for name, p in student.model.named_parameters() if p.requires_grad}


def storage(teacher: Checkpoint) -> torch.dtype:
    """The dtype the teacher is stored in (that of most of its bytes)."""
    sizes: dict[str, int] = {}
    for tensor in teacher.tensors.values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.stop - tensor.start
    return DTYPES[max(sizes, key=lambda dtype: sizes[dtype])]


def write(
    student: Causal, teacher_folder: Path, out: Path, layermap: LayerMap, record: Mapping[str, Any],
    state: Mapping[str, Tensor] | None = None, config: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write the student as a checkpoint: under a temporary name, verified, renamed.

    `state` has its tensors in full where the student itself is sharded, `config` is its config
    where that is not `student_config`.

    `record` becomes boomerang.json; its `frozen_embeddings` is what the written bytes say. Raises
    TrainingFailed where a weight is not finite or cannot be read again, or `out` is taken.
    """
    partial = begin(out)
    state = _cast(state or student.model.state_dict(), storage(Checkpoint.open(teacher_folder)))
    student.model.save_pretrained(partial, state_dict=state)
    finish(partial, teacher_folder, out, layermap, record, config)


def begin(out: Path) -> Path:
    """An empty folder of a temporary name beside `out`, to be finished."""
    partial = out.parent / f".{out.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def finish(
    partial: Path, teacher_folder: Path, out: Path, layermap: LayerMap, record: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Put everything beside the weights in `partial`, verify it, and rename it to `out`.

    Raises as `write`.
    """
    teacher = Checkpoint.open(teacher_folder)
    _dump(partial / CONFIG, config or student_config(teacher, layermap))
    generation = teacher_folder / GENERATION_CONFIG
    (partial / generation.name).unlink(missing_ok=True)
    if generation.exists():
        shutil.copyfile(generation, partial / generation.name)
    _copy_tokenizer(teacher_folder, partial)
    _dump(partial / STUDENT_CONFIG, layermap.student_config())
    pair = _check(partial, teacher)
    frozen = bool(record["frozen_embeddings"]) and pair.shared_embeddings
    _dump(partial / RECORD, {**record, "frozen_embeddings": frozen})
    _keep(partial)
    try:
        partial.rename(out)
    except OSError:
        raise TrainingFailed(
            f"{out.name!r} exists, and a student is never overwritten.",
            value=str(out),
            fix="Remove it, or give another folder.",
        ) from None


def _cast(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    # Tensors that share memory must go on sharing it, or a tied head is stored twice.
    made: dict[int, Tensor] = {}
    for tensor in state.values():
        if tensor.data_ptr() not in made:
            made[tensor.data_ptr()] = tensor.to("cpu", dtype)
    return {name: made[tensor.data_ptr()] for name, tensor in state.items()}


def _copy_tokenizer(source: Path, target: Path) -> None:
    for file in _files(source):
        name = file.relative_to(source)
        if tokenizes(name.as_posix()):
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target / name)


def _check(folder: Path, teacher: Checkpoint) -> Pair:
    """Reopen what was written: names and shapes by the loader's rules, every value finite."""
    written = Checkpoint.open(folder)
    dissect(written)
    verify(dict(written.config), {t.name: (t.dtype, t.shape) for t in written.tensors.values()})
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                if not torch.isfinite(tensors.get_tensor(name)).all():
                    raise TrainingFailed(
                        f"{name} of the student is not finite.",
                        value=name,
                        fix="Lower the learning rate.",
                    )
    pair = Pair.of(teacher, written)
    verify_kinds(written.config, pair.teacher.config, pair.layermap.kept)
    return pair


def _dump(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _keep(folder: Path) -> None:
    """Have every byte on the disk before the rename makes them a student."""
    for path in _files(folder):
        # The serializer makes files that only their owner reads; a shared volume has others.
        path.chmod(0o644)
    on_disk(*_files(folder), folder)


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
