"""`python -m benchmarks.distillation`: the trainer beside a plain loop of the published method.

Both train the same shapes, in processes of their own, in turn and round after round: useful
tokens/s and peak memory. Then both train the small teacher's student on its text: held-out loss
against useful tokens.
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.distillation import table
from benchmarks.distillation.runs import Curves, Side, run
from benchmarks.distillation.shapes import Shape

SHAPES = [Shape(12, 128, 4096, 2, 512, 24), Shape(12, 128, 151_936, 2, 512, 6)]
TOY = [Shape(12, 64, 512, 2, 64, 2)]


def main() -> None:
    """Measure, and write table and picture."""
    options = _options()
    sides = _sides(options.plain)
    found: dict[Shape, list[Side]] = {}
    for shape in TOY if options.toy else SHAPES:
        shape = replace(shape, steps=options.steps or shape.steps)
        here = [replace(side, results=[]) for side in sides]
        for number in range(options.rounds):
            for side in here:
                side.results.append(run([*side.command, *shape.arguments]))
                _say(f"{shape.vocabulary}, round {number + 1}, {side.title}: {side.results[-1]}")
        found[shape] = here
    curves = Curves.measured(range(options.seeds), options.curve_steps, _say)
    text = table.report(found, curves, _idle())
    print(text)
    table.picture(found, curves, options.docs / "images" / "distillation.png")
    (options.docs / "benchmarks").mkdir(parents=True, exist_ok=True)
    (options.docs / "benchmarks/distillation.md").write_text(text, "utf-8")


def _sides(plain: Path | None) -> list[Side]:
    module = [sys.executable, "-m", "benchmarks.distillation.ours"]
    given = [] if plain is None else [Side("plain loop, given", [sys.executable, str(plain)])]
    return [
        *given,
        Side("plain loop", [sys.executable, "-m", "benchmarks.distillation.plain"]),
        Side("recipe `published`", [*module, "published"]),
        Side("recipe `default`", [*module, "default"]),
    ]


def _idle() -> float:
    """Peak memory of a process that has imported torch and transformers and done nothing, in MB."""
    code = (
        "from transformers import AutoModelForCausalLM; from transformers.models import qwen3;"
        "from benchmarks.distillation.shapes import peak; print(peak())"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(told.stdout)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distillation", description=__doc__)
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the results")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="timed steps of a run")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each side to compare losses")
    parser.add_argument("--curve-steps", type=int, default=240)
    parser.add_argument("--plain", type=Path, help="another plain loop to compare with first")
    parser.add_argument("--toy", action="store_true", help="a tiny shape, to try it out")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
