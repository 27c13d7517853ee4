"""How a student was made, in words and as a table, and under which terms it is."""

from boomerang.card.facts import HUB, Facts, Origin, StudentFacts, on_the_hub
from boomerang.card.words import cell, count, joined, link, spans, table
from boomerang.charts.drawing.figures import large, number, share
from boomerang.family.layer_map import LayerMap


def making(facts: Facts | StudentFacts) -> str:
    """The section on the student's training; what is not known of it is left out."""
    layermap = facts.composition.layermap if isinstance(facts, Facts) else facts.layermap
    parts = [_begins(facts, layermap), _trained(facts), _losses(facts), _ended(facts)]
    said = " ".join(part for part in parts if part)
    rows = [(str(key), cell(value)) for key, value in facts.recipe.items() if value is not None]
    settings = (
        "<details><summary>All settings</summary>\n\n"
        f"{table(('setting', 'value'), rows)}\n\n</details>"
        if rows
        else ""
    )
    return "\n\n".join(part for part in ("## How the student was made", said, settings) if part)


def _begins(facts: Facts | StudentFacts, layermap: LayerMap) -> str:
    if facts.base:
        return (
            f"Nothing was trained for it: the student of {link(facts.base)} lent it the difference "
            "between its weights and those of its own teacher, added to this teacher's layers "
            f"{spans(layermap.kept)}."
        )
    if facts.healed:
        return (
            f"It began as the size {facts.healed} of the teacher's family, and all of its layers "
            "were then trained."
        )
    if not facts.recipe:
        return (
            f"The student stands for the teacher's layers {spans(layermap.kept)}. How it was "
            "trained is not known here."
        )
    found = f", found by measuring (`{facts.map_rule}`)" if facts.map_rule else ""
    return (
        f"The student began as the teacher's layers {spans(layermap.kept)}{found}, with its "
        "embeddings, final norm and head."
    )


def _trained(facts: Origin) -> str:
    recipe = facts.recipe
    if not recipe or facts.base:
        return ""
    tokens, length = recipe.get("batch_tokens"), recipe.get("sequence_length")
    steps = recipe.get("steps") or (facts.training.steps if facts.training else None)
    how_long = f"{count(steps)} steps" if isinstance(steps, int) else ""
    if not how_long and recipe.get("minutes"):
        how_long = f"{cell(recipe['minutes'])} minutes"
    each = f" of {count(tokens)} tokens" if isinstance(tokens, int) and how_long else ""
    rows = f" in sequences of {count(length)}" if isinstance(length, int) else ""
    rate, warmup = recipe.get("learning_rate"), recipe.get("warmup")
    at = f", at a learning rate of {cell(rate)}" if rate else ""
    warm = f" after a warm-up of {share(_number(warmup))} of the steps"
    warm = warm if _number(warmup) and at else ""
    on = f" on {_texts(facts)}" if _texts(facts) else ""
    return f"It was trained{on} for {how_long}{each}{rows}{at}{warm}." if how_long else ""


def _losses(facts: Origin) -> str:
    recipe, weights = facts.recipe, []
    for key, what in (
        ("ce_weight", "cross-entropy"),
        ("kl_weight", "KL(teacher ‖ student)"),
        ("cosine_weight", "the mean cosine distance between hidden states of both"),
    ):
        if _number(recipe.get(key)):
            weights.append(f"{cell(recipe[key])} · {what}")
    said = f"The loss is {' + '.join(weights)}." if weights else ""
    chance, fade, after = (recipe.get(f"patch_{name}") for name in ("probability", "fade", "after"))
    if _number(chance):
        when = f"After {share(_number(after))} of the steps, " if _number(after) else ""
        part = f"{share(_number(chance))} of the passes" if _number(chance) < 1 else "every pass"
        falls = " at first, and fewer and fewer to the end" if _number(fade) else ""
        said += f" {when}{part if when else part.capitalize()} went through blocks of the teacher "
        said += f"put into the student{falls}."
    return said


def _ended(facts: Origin) -> str:
    if facts.training is None:
        return ""
    named = (
        ("loss", "a loss of"),
        ("ce", "cross-entropy"),
        ("kl", "KL"),
        ("cosine", "cosine distance"),
    )
    ends = [
        f"{what} {number(getattr(facts.training, name))}"
        for name, what in named
        if getattr(facts.training, name) is not None
    ]
    seen = f"{large(facts.training.tokens)} tokens" if facts.training.tokens else ""
    if not ends:
        return f"It saw {seen}." if seen else ""
    after = seen or f"{count(facts.training.steps)} steps"
    return f"At its end, after {after}, training reported {joined(ends)}."


def _texts(facts: Origin) -> str:
    if facts.datasets:
        return joined([f"[{one}]({HUB}/datasets/{one})" for one in facts.datasets])
    return facts.text or ""


def _number(value: object) -> float:
    """A setting that is a number above 0, or 0."""
    return max(0.0, value) if isinstance(value, int | float) else 0.0


def terms(facts: Origin) -> str:
    """The section on licence and origin."""
    inherited = facts.inherited
    name = inherited.license_name or inherited.license
    said = ""
    if name:
        said = f"The teacher's licence, {_licence(facts, name)}, applies here too. "
    elif inherited.license_file:
        said = f"The teacher's [licence]({inherited.license_file}) applies here too. "
    return (
        f"## Licence and origin\n\n{said}The teacher is {link(facts.teacher)}, at commit "
        f"{_commit(facts.teacher, facts.teacher_commit)}.{_student(facts)}"
    )


def _student(facts: Origin) -> str:
    """Which student a size is of: where it is and at which commit, and what names its content."""
    if not isinstance(facts, Facts) or facts.student_key is None:
        return ""
    where = ""
    if facts.student and facts.student != facts.repo_id:
        where = f" {link(facts.student)}"
        if facts.student_commit:
            where += f" at commit {_commit(facts.student, facts.student_commit)}"
        where += ","
    return (
        f" The student is{where} the one of the key `{facts.student_key}`. Which layer is whose is "
        "in `boomerang.json`, too."
    )


def _licence(facts: Origin, name: str) -> str:
    """The licence's name, as a link to a text that is here or on the Hub."""
    inherited = facts.inherited
    where = inherited.license_file or inherited.license_link or ""
    if not inherited.license_file and not where.startswith(f"{HUB}/"):
        return name
    return f"[{name}]({where})"


def _commit(repo_id: str, commit: str) -> str:
    if not on_the_hub(repo_id):
        return f"`{commit}` (which stands for the content of its files)"
    return f"[`{commit}`]({HUB}/{repo_id}/tree/{commit})"
