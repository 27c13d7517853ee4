"""`python -m benchmarks.teachers`: the shipped recipe beside the published one, for each teacher.

Teachers that are not there are made first: examples/smollm2 and examples/neox say from what. Half
an hour of two cores for each small teacher, an hour for the real one. What is made is kept, and
taken again. `--split calibration` is for choosing; test text is for what is reported, once.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import torch

from benchmarks.distillation.table import machine
from benchmarks.teachers.healed import healed
from benchmarks.teachers.runs import Subject, families, own_students
from benchmarks.teachers.table import INTRODUCTION, section

TEACHERS = Path(__file__).parent / "teachers.toml"
EXAMPLES = Path("examples")


def main() -> None:
    """Make, measure and print; write docs/benchmarks/teachers.md where all teachers were asked."""
    options = _options()
    torch.set_num_threads(options.threads)
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    told = tomllib.loads(options.teachers.read_text("utf-8"))
    subjects = [Subject.read(name, fields) for name, fields in told.items()]
    wanted = [s for s in subjects if not options.only or s.name in options.only]
    options.keep.mkdir(parents=True, exist_ok=True)
    text = INTRODUCTION.format(machine=machine(), split=options.split)
    for subject in wanted:
        make(subject)
        made = [families(subject, options.keep, seed, options.split) for seed in subject.seeds]
        first, steps = subject.seeds[0], made[0][-1].steps
        own = own_students(subject, options.keep, first, options.split, steps)
        better = healed(subject, made[0][-1], options.split)
        found = section(subject, made, own, better)
        print(found, flush=True)
        text += found + "\n"
    if len(wanted) == len(subjects) and options.split == "heldout":
        (options.docs / "benchmarks").mkdir(parents=True, exist_ok=True)
        (options.docs / "benchmarks/teachers.md").write_text(text, "utf-8")


def make(subject: Subject) -> None:
    """Make a teacher, and its text, that are not there yet."""
    folder, data = subject.teacher, subject.data
    if not data.exists():
        _run(EXAMPLES / "smollm2" / "make_text.py", data.parent)
    if not folder.exists() and folder.name.startswith("SmolLM2"):
        _run(EXAMPLES / "smollm2" / "make_teacher.py", folder.parent)
    elif not folder.exists():
        _run(EXAMPLES / "neox" / "train_teacher.py", data, folder)


def _run(*command: Path) -> None:
    subprocess.run([sys.executable, *map(str, command)], check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.teachers", description=__doc__)
    parser.add_argument("--teachers", type=Path, default=TEACHERS, help="a TOML file of them")
    parser.add_argument("--only", nargs="*", help="names of teachers; all by default")
    parser.add_argument("--split", choices=["calibration", "heldout"], default="heldout")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("build/benchmarks/teachers"))
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
