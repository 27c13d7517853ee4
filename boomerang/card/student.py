"""The card of a student by itself: what it is, and how every size is made of it."""

from boomerang.card.facts import METHOD, StudentFacts, on_the_hub
from boomerang.card.making import making, terms
from boomerang.card.metadata import front_matter
from boomerang.card.words import count, link, spans, table


def student_card(facts: StudentFacts) -> str:
    """The whole README.md of a student: front matter in YAML, then the text.

    A function of its facts alone: the same facts give the same bytes.
    """
    sections = [_opening(facts), _layers(facts), _sizes(facts), making(facts), terms(facts)]
    return front_matter(facts) + "\n\n".join(part for part in sections if part) + "\n"


def _opening(facts: StudentFacts) -> str:
    kept, layers = len(facts.layermap.kept), facts.layermap.layers
    if facts.healed:
        what = (
            f"Healed from {facts.healed}, a size of the family of {link(facts.teacher)}: blocks of "
            f"the teacher's layers put back into a student, and then all {kept} layers trained."
        )
    else:
        what = (
            f"The student of {link(facts.teacher)}: {kept} of its {layers} layers, distilled once. "
            "Every size between the two is made of it and its teacher, with no training."
        )
    return (
        f"# {facts.title}\n\n{what}\n\n"
        f"**{count(facts.parameters)} parameters · {kept} layers · {facts.dtype}** · method: "
        f"{METHOD}\n\nIt is kept under the key `{facts.key}`, which stands for the teacher's "
        "commit, the layers, the recipe and the text: the same key is the same student."
    )


def _layers(facts: StudentFacts) -> str:
    rows = [
        (str(j), str(kept), spans([*block]))
        for j, (kept, block) in enumerate(
            zip(facts.layermap.kept, facts.layermap.blocks, strict=True)
        )
    ]
    head = ("layer here", "began as the teacher's", "stands for the teacher's")
    return "## Which layers it keeps\n\n" + table(head, rows, numbers=3)


def _sizes(facts: StudentFacts) -> str:
    if not facts.sizes:
        return ""
    rows = [(one.name, count(one.parameters), str(one.layers)) for one in facts.sizes]
    between = facts.sizes[len(facts.sizes) // 2].name
    name = facts.teacher.rsplit("/", 1)[-1]
    teacher = facts.teacher if on_the_hub(facts.teacher) else f"./{name}"
    return (
        "## Every size, made of it\n\n"
        + table(("size", "parameters", "layers"), rows, numbers=2)
        + "\n\nThe first is the student, the last its teacher; blocks are put back from the last "
        "to the first. One of them in a folder (while this repository is private, log in first "
        "with `hf auth login`):\n\n"
        f"```bash\nboomerang assemble {teacher} {facts.repo_id} \\\n"
        f"  --size {between} --order last --out {name}-{between}\n```"
    )
