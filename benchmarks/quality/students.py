"""The students that are compared: one for the family, and one trained for each of some sizes."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from boomerang.checkpoint.folders import content_commit
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.layer_map import LayerMap
from boomerang.recipes.recipe import Recipe, student_key
from boomerang.texts.texts import Texts


def distilled(
    teacher: Path, data: Path, recipe: Recipe, layermap: LayerMap, out: Path,
    trainer: str = "boomerang.distill",
) -> Path:  # fmt: skip
    """The folder of a student with this layer map; one that is there already is taken."""
    if recipe.measures:
        # Of many maps that are compared, each is a student of its own.
        recipe = recipe.override(kept=layermap.kept)
    commit = content_commit(Checkpoint.open(teacher))
    key = student_key(commit, layermap, recipe, Texts.open(data).digest)
    folder = out / key
    if folder.exists():
        return folder
    run = out / f"{key}.run"
    run.mkdir(parents=True, exist_ok=True)
    job = {
        "teacher": str(teacher.absolute()),
        "teacher_name": teacher.name,
        "teacher_commit": commit,
        "out": str(folder.absolute()),
        "run": str(run.absolute()),
        "recipe": recipe.model_dump(mode="json"),
        "data": str(data.absolute()),
        "kept": list(layermap.kept),
        "key": key,
    }
    path = run / "job.json"
    path.write_text(json.dumps(job), "utf-8")
    _run([sys.executable, "-m", trainer, str(path)])
    return folder


def _run(command: Sequence[str]) -> None:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            event = json.loads(line)
            if event["event"] == "step":
                print(f"\r  step {event['step']} of {event['steps']}", end="", file=sys.stderr)
    print(file=sys.stderr)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
