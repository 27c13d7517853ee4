"""What was not measured, said plainly, and only what follows from the facts."""

from collections.abc import Iterator

from boomerang.card.facts import Facts
from boomerang.card.words import count, joined

_SAFETY = (
    "toxigen", "realtoxicityprompts", "truthfulqa", "bbq", "crows_pairs", "winogender", "wmdp",
    "hendrycks_ethics", "ethics", "simple_cooccurrence_bias", "moral_stories", "harmbench",
    "advbench", "xstest", "do_not_answer", "mmlu_moral",
)  # fmt: skip
"""How tasks begin that ask for harm, bias or truth: where one was run, nothing is said of that."""


def unmeasured(facts: Facts) -> str:
    """The section on what nobody looked at."""
    return "## What was not measured\n\n" + "\n".join(f"- {line}" for line in _lines(facts))


def _lines(facts: Facts) -> Iterator[str]:
    size, ran = facts.size, list(dict.fromkeys(task.task for task in facts.tasks))
    if facts.masked:
        yield "**Quality**: nothing. Sizes of masked language models are not measured."
    elif not size.measured:
        yield "**Quality**: this size was not measured on any text."
    elif size.naive_perplexity is None and size.naive_kl is None and not facts.is_teacher:
        yield "**Naive pruning** to the same depth, to compare with."
    if ran:
        yield f"**Tasks** other than {joined(ran)}."
    else:
        yield "**Tasks**: none was run, of knowledge, reasoning, code or any other."
    if facts.failed:
        yield f"**Tasks that ended without a figure**: {joined(facts.failed)}."
    languages = facts.inherited.language
    if languages and not ran:
        yield (
            f"**Languages**: the teacher's card names {joined(languages)}; what this size keeps of "
            f"{'each' if len(languages) > 1 else 'it'} was not measured apart."
        )
    if not any(task.startswith(_SAFETY) for task in ran):
        refusals = "" if facts.masked else ", nor whether refusals are kept"
        yield f"**Safety**: neither harmful output nor bias{refusals}."
    if line := _contexts(facts):
        yield line
    if facts.chat and size.stopped is None:
        yield "**Conversations**: there is a chat template, and no conversation was tried."
    elif not facts.masked and size.measured and not size.written:
        yield "**What it writes**: nothing was generated with it."
    yield "**Speed and memory**, on any machine, and what quantising or converting it costs."


def _contexts(facts: Facts) -> str:
    """Up to which length of text there is a figure."""
    size, context = facts.size, facts.context
    if not size.measured or not size.window or not context or context <= size.window:
        return ""
    return (
        f"**Long contexts**: figures are of windows of {count(size.window)} tokens, and its config "
        f"allows {count(context)}."
    )
