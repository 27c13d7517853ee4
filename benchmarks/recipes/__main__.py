"""`python -m benchmarks.recipes`: recipes at equal time on the small teacher, a row for each.

Every try is distilled for the processor time that the first one takes for `--steps` steps. Recipes
are chosen by this, so that held-out text has no part in it: each family's order is chosen on the
beginning of the calibration text, and its members are measured on the rest. A try that has been
made with the same recipe is not made again.
"""

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import torch

from benchmarks.quality.students import distilled
from benchmarks.recipes.ablation import Ablation
from benchmarks.recipes.cost import costs
from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.order_forms import members_of
from boomerang.modules.couple import couple
from boomerang.modules.load import load
from boomerang.quality.choosing.orders import CALIBRATION, choose
from boomerang.quality.measure import measure
from boomerang.texts.texts import Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream

TRAINER = "benchmarks.recipes.ablation"
TRIES = Path(__file__).parent / "tries.toml"


def main() -> None:
    """Make and measure every try that is asked for; write each to the folder and print it."""
    options = _options()
    torch.set_num_threads(options.threads)
    written = tomllib.loads(options.tries.read_text("utf-8"))
    shape = written.pop("all")
    wanted = [(name, seed) for seed in options.seeds for name in options.only or written]
    reference = next(iter(written))
    recipes = {
        name: Ablation.parse({**shape, "name": name, "steps": options.steps, **written[name]})
        for name in dict.fromkeys([reference, *(name for name, _ in wanted)])
    }
    options.keep.mkdir(parents=True, exist_ok=True)
    each = _costs(options, recipes)
    for name, seed in wanted:
        steps = round(options.steps * each[reference] / each[name])
        recipe = recipes[name].override(steps=steps, seed=seed)
        row = _row(options, recipe)
        with (options.keep / "rows.jsonl").open("a", encoding="utf-8") as rows:
            rows.write(json.dumps({"name": name, "seed": seed, "steps": steps, **row}) + "\n")
        print(f"| {name} | {seed} | {steps} | " + " | ".join(_cells(row)) + " |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("--teacher", type=Path, default=Path("examples/kjv/KJV-1.4M"))
    parser.add_argument("--data", type=Path, default=Path("examples/kjv"))
    parser.add_argument("--tries", type=Path, default=TRIES, help="a TOML file of recipes")
    parser.add_argument("--only", nargs="*", help="names of tries; all by default")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--steps", type=int, default=240, help="of the first try")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=65536, help="that are measured on")
    parser.add_argument("--keep", type=Path, default=Path("build/benchmarks/recipes"))
    return parser.parse_args()


def _costs(options: argparse.Namespace, recipes: dict[str, Ablation]) -> dict[str, float]:
    """Timed once for each folder, so that a second run's tries are as long as the first's."""
    file = options.keep / "costs.json"
    known: dict[str, float] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if set(recipes) - set(known):
        reference = next(iter(recipes))
        new = {n: r for n, r in recipes.items() if n not in known or n == reference}
        found = costs(options.teacher, options.data, new)
        scale = known.get(reference, found[reference]) / found[reference]
        known = {**{name: value * scale for name, value in found.items()}, **known}
        file.write_text(json.dumps(known, indent=1), "utf-8")
    return known


def _row(options: argparse.Namespace, recipe: Ablation) -> dict[str, Any]:
    """Distil and measure: KL and perplexity of each member from the student to the teacher."""
    files = Checkpoint.open(options.teacher)
    layermap = recipe.layermap(dissect(files).kinds)
    folder = distilled(options.teacher, options.data, recipe, layermap, options.keep, TRAINER)
    both = couple(
        load(options.teacher, dtype=torch.float32), load(folder, dtype=torch.float32), layermap
    )
    tokeniser = Tokeniser(options.teacher, files.config["vocab_size"])
    texts, length = Texts.open(options.data), recipe.sequence_length
    encoded = tokeniser.encode(texts, "calibration")
    stream = Stream(encoded, length, "calibration", begins=tokeniser.begins)
    windows = stream.head(CALIBRATION + options.tokens)
    count = CALIBRATION // length
    chosen = choose(both, windows[:count], "auto")
    members = members_of(layermap, chosen.order)
    found = measure(both, windows[count:], members)
    return {
        "order": chosen.name,
        "layers": [len(member.layers) for member in members],
        "kl": [round(q.kl, 4) for q in found],
        "perplexity": [round(q.perplexity, 3) for q in found],
    }


def _cells(row: dict[str, Any]) -> list[str]:
    pairs = zip(row["kl"][:-1], row["perplexity"][:-1], strict=True)
    return [row["order"], *(f"{kl:.3f} ({ppl:.2f})" for kl, ppl in pairs)]


if __name__ == "__main__":
    main()
