"""What was measured, in words and tables."""

from benchmarks.play.runs import Found, ends

_MB = 1e6


def markdown(found: Found) -> str:
    """One pair: what it takes, how fast its sizes change, and each of them beside itself alone."""
    lines = [
        f"### {found.name}: {found.layers} layers, {len(found.sizes)} sizes",
        "",
        f"Teacher and student are files of {found.files / _MB:,.1f} MB, and "
        f"{found.held / _MB:,.1f} MB as they are held, in {found.dtype}. Beyond a process "
        f"with no pair in it, {(found.loaded - found.bare) / _MB:,.0f} MB are resident once "
        f"they are loaded, and {(found.used - found.bare) / _MB:,.0f} MB after all sizes "
        "have written, caches and all.",
        "",
        "| a change of size, ms | median | 99th percentile |",
        "|---|---|---|",
    ]
    for title, values in (
        ("put together for the first time", found.first),
        ("the same, of the processor alone", found.first_busy),
        ("that was put together before", found.again),
        ("from asking until it begins, both processes", found.begun),
    ):
        middle, most = ends(values)
        lines.append(f"| {title} | {middle:.3f} | {most:.3f} |")
    lines += [
        "",
        "| size | layers | tokens/s | alone | ÷ alone | ÷ alone, processor | drafted, ÷ not "
        "| greedy text |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size in found.sizes:
        ours, alone = size.speed("ours"), size.speed("alone")
        same = "equal" if len(size.texts) == 1 else f"{len(size.texts)} texts"
        draft = "" if size is found.sizes[0] else f"{size.ratio('drafted', 'ours'):.2f}"
        lines.append(
            f"| {size.member.size} | {size.member.layers} | {ours:,.1f} | {alone:,.1f} "
            f"| {size.ratio('ours', 'alone'):.2f} "
            f"| {size.ratio('ours', 'alone', 1):.2f} | {draft} | {same} |"
        )
    return "\n".join([*lines, ""])
