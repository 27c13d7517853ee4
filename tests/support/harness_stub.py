"""A harness that has names of tasks and breaks when it is imported: names need no import."""

from pathlib import Path


def save_harness(folder: Path) -> Path:
    """Write it, and return what belongs on PYTHONPATH."""
    tasks = folder / "lm_eval" / "tasks"
    (tasks / "arc").mkdir(parents=True)
    (folder / "lm_eval" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (tasks / "arc" / "arc_easy.yaml").write_text("tag:\n  - ai2_arc\ntask: arc_easy\n")
    (tasks / "arc" / "arc_hard.yaml").write_text('include: arc_easy.yaml\n"task": "arc_hard"\n')
    (tasks / "piqa.yaml").write_text("task: piqa # of physics\ndoc_to_text: |\n  task: none\n")
    return folder
