"""A family's quality against its size: student, members and teacher, beside naive pruning."""

import math
from collections.abc import Sequence

from boomerang.charts.drawing.frame import TOP, Frame, chart
from boomerang.charts.drawing.scales import Scale, scale_of
from boomerang.charts.drawing.series import Metric, Point, measured
from boomerang.charts.drawing.svg import at, label, percent, tag, words
from boomerang.charts.drawing.theme import PAGE, Theme

HEIGHT = 264
"""Of the field in pixels."""
NAMES = 14
"""Pixels above it for the names of memories."""
MOST_NAIVE = 5
"""As many times as bad as the family's worst may naive pruning be and still be within the field."""
MOST_MARKED = 40
"""Of more sizes than these the marks of naive pruning would touch: its line alone is drawn. Nor has
each its name there, which weighs as much as a point: the chosen one has, and a page says it beside.
"""
APART = 0.11
"""The least share of the width between two boundaries of memory that both have a name."""


def quality_chart(
    points: Sequence[Point],
    *,
    metric: Metric,
    naive: Sequence[Point] = (),
    chosen: str | None = None,
    fits: Sequence[tuple[str, float]] = (),
    theme: Theme = PAGE,
    height: int = HEIGHT,
) -> str:
    """The curve of a family in one metric, as SVG.

    `naive` are the teacher's own layers at the same depths, without distillation, under the names
    of the sizes. `chosen` is the name of the size that is ringed. `fits` are memories and the most
    stored parameters that each holds, smallest first. Points without a figure are left out; ""
    where none has one.
    """
    curve, beside = measured(points), measured(naive)
    if not curve:
        return ""
    frame = Frame(
        scale_of([p.parameters for p, _ in (*curve, *beside)], log=_wide(curve), pad=0),
        _scale(curve, [value for _, value in beside], metric),
        height,
        theme,
        TOP + NAMES if fits else TOP,
    )
    ours, pruned = _line(curve, frame), _line(beside, frame)
    marked = beside if len(beside) <= MOST_MARKED else []
    # What is tinted reaches the edge where pruning is beyond it.
    edge = [(float(p.parameters), frame.y.high) for p, value in beside if value > frame.y.high]
    above = sorted([*pruned, *edge])
    inner = [
        _bands(frame, fits),
        frame.axes(percent_=metric.share, x_label="stored parameters"),
        frame.area(_along(above, ours), _along(ours, above), "gain"),
        frame.line(pruned, "naive"),
        frame.line(ours, "curve"),
        frame.errors([(p.parameters, value, p.error) for p, value in marked], "doubt"),
        frame.errors([(p.parameters, value, p.error) for p, value in curve], "error"),
        *(_beside(frame, p, value) for p, value in marked),
        _naive_name(frame, beside, curve),
        _points(frame, curve, metric, _shown(beside, metric), chosen),
    ]
    better = tag("tspan", words(metric.better), dx=10, **theme("better"))
    title = tag("text", words(metric.name), better, y=16, **theme("title"))
    links = theme.interactive and any(p.url for p, _ in curve)
    name = f"{metric.name} of each size by its stored parameters"
    # Who comes to the links hears each; who comes to an image, all of them.
    desc = _ends(curve, metric) if links else in_words(points, metric, naive)
    return chart(theme, frame.total, "quality", name, desc, title, frame.field(*inner), links=links)


def in_words(points: Sequence[Point], metric: Metric, naive: Sequence[Point] = ()) -> str:
    """What the chart shows, size by size, for who cannot see it."""
    others = _shown(measured(naive), metric)
    return " ".join(_said(p, v, metric, others.get(p.name)) + "." for p, v in measured(points))


def _ends(curve: Sequence[tuple[Point, float]], metric: Metric) -> str:
    (first, low), (last, high) = curve[0], curve[-1]
    return (
        f"{len(curve)} sizes, from {first.name} with {metric.shown(low, first.error)} to "
        f"{last.name} with {metric.shown(high, last.error)}."
    )


def _shown(pairs: Sequence[tuple[Point, float]], metric: Metric) -> dict[str, str]:
    """Figures as they are read, by the names of sizes."""
    return {point.name: metric.shown(value, point.error) for point, value in pairs}


def _said(point: Point, value: float, metric: Metric, naive: str | None) -> str:
    who = "" if point.side == "member" else f" ({point.side})"
    beside = "" if naive is None else f"; naive pruning {naive}"
    dip = "; worse than a smaller size" if point.dip else ""
    shown = metric.shown(value, point.error)
    of = f"{point.parameters:,} parameters"
    return f"{point.name}{who}: {metric.short} {shown}{beside}{dip}; {of}"


def _wide(curve: Sequence[tuple[Point, float]]) -> bool:
    return len(curve) > 1 and curve[-1][0].parameters > 20 * max(1, curve[0][0].parameters)


def _line(pairs: Sequence[tuple[Point, float]], frame: Frame) -> list[tuple[float, float]]:
    return frame.within((float(point.parameters), value) for point, value in pairs)


def _along(
    line: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """The part of a line that lies over the stretch of another."""
    ends = [x for x, _ in other]
    return [(x, y) for x, y in line if ends and ends[0] <= x <= ends[-1]]


def _scale(curve: Sequence[tuple[Point, float]], naive: Sequence[float], metric: Metric) -> Scale:
    """The scale of the family's own figures, and of naive pruning as far as that lets them be seen.

    Where less is better, pruning can be worse by thousands, and the curve would be a flat line.
    """
    ours = [value for _, value in curve if math.isfinite(value)]
    most = MOST_NAIVE * max(ours, default=0)
    shown = [value for value in naive if metric.higher or not most > 0 or value <= most]
    edge = [most] if len(shown) < len(naive) else []
    return scale_of([*ours, *shown, *edge], pad=0.16, within=metric.bounds)


def _bands(frame: Frame, fits: Sequence[tuple[str, float]]) -> str:
    """What fits into which memory: shaded in turn, with a line where each ends."""
    theme, found, start = frame.theme, list[str](), 0.0
    named = -1.0
    for index, (name, most) in enumerate(fits):
        if most < frame.x.low:
            continue
        over = most >= frame.x.high
        end = 1.0 if over else frame.across(most)
        if index % 2 == 0 and end > start:
            place = {"x": percent(start), "width": percent(end - start), "height": "100%"}
            found.append(tag("rect", **place, **theme("band")))
        if not over:
            line = {"x1": percent(end), "x2": percent(end), "y1": "0", "y2": "100%"}
            found.append(tag("line", **line, **theme("edge")))
        if end - max(start, named) >= APART:
            said = f"fits {name}"
            found.append(at(end, 0, label(said, x=-6, y=-8, text_anchor="end", **theme("tick"))))
            named = end
        start = end
        if over:
            break
    return "".join(found)


def _beside(frame: Frame, point: Point, value: float) -> str:
    """Naive pruning at a size; what lies above the field is an arrow at its edge."""
    if value > frame.y.high:
        mark = tag("path", d="M-5 8L0 0L5 8z", **frame.theme("other"))
    else:
        mark = tag("rect", x=-3.5, y=-3.5, width=7, height=7, **frame.theme("other"))
    return at(frame.across(point.parameters), frame.down(value), mark)


def _naive_name(
    frame: Frame, beside: Sequence[tuple[Point, float]], curve: Sequence[tuple[Point, float]]
) -> str:
    """Beside the line's first point, on the side where the family's curve is not."""
    if not beside:
        return ""
    point, value = beside[0]
    ours = next((v for p, v in curve if p.parameters >= point.parameters), value)
    y = -9 if frame.down(value) <= frame.down(ours) else 19
    if value > frame.y.high:
        y = 24
    text = label("naive pruning", x=9, y=y, **frame.theme("said"))
    return at(frame.across(point.parameters), frame.down(value), text)


def _points(
    frame: Frame, curve: Sequence[tuple[Point, float]], metric: Metric,
    others: dict[str, str], chosen: str | None,
) -> str:  # fmt: skip
    # What is chosen lies above its neighbours.
    heights = [frame.down(value) for _, value in curve]
    named = len(curve) <= MOST_MARKED
    found = [
        (p.name == chosen, _point(frame, p, value, metric, others.get(p.name), p.name == chosen,
                                  named, _name_place(frame.across(p.parameters), heights, index,
                                                     metric)))
        for index, (p, value) in enumerate(curve)
    ]  # fmt: skip
    return "".join(drawn for _, drawn in sorted(found, key=lambda one: one[0]))


def _name_place(x: float, heights: Sequence[float], index: int, metric: Metric) -> dict[str, str]:
    """Where a size's name stands beside its marker: where the curve does not go."""
    here, above = heights[index], metric.higher
    if here == 1:
        # On the axis itself, where zero stands on a logarithmic scale.
        return {"text_anchor": "end", "x": "-14", "y": "-7"}
    anchor = "start" if x < 0.2 else "end" if x > 0.85 else "middle"
    towards = index + 1 if anchor == "start" else index - 1 if anchor == "end" else index
    if 0 <= towards < len(heights) and abs(heights[towards] - here) > 0.01:
        above = heights[towards] > here
    above = here > 0.9 if not above else here > 0.1
    return {"text_anchor": anchor, "y": "-17" if above else "25"}


def _point(
    frame: Frame, point: Point, value: float, metric: Metric, naive: str | None, here: bool,
    named: bool, names: dict[str, str],
) -> str:  # fmt: skip
    """One size: its marker, its ring, its name; on a page what is said of it, and where it leads.

    A page has the ring and (`named`) the name of every size, of which its style sheet shows the
    chosen one.
    """
    theme, x, y = frame.theme, frame.across(point.parameters), frame.down(value)
    role = "dip" if point.dip else "dot" if point.side == "member" else "end"
    parts = [tag("circle", r=5 if role == "end" else 4.5, **theme(role))]
    if point.dip:
        parts.append(label("▾", y=-8, text_anchor="middle", **theme("warn")))
    if theme.interactive or here:
        parts.append(tag("circle", r=10, **theme("ring")))
    if here or (theme.interactive and named):
        said = f"{point.name} · {metric.tick(value)}"
        parts.append(label(said, **names, **theme("strong")))
    if point.side != "member" and (theme.interactive or not here):
        parts.append(label(point.side, **names, **theme("said")))
    if not theme.interactive:
        return at(x, y, *parts)
    title = tag("title", words(_said(point, value, metric, naive)))
    inner = tag("circle", r=14, class_="hit") + "".join(parts)
    group = (
        tag("a", title, inner, href=point.url) if point.url is not None else tag("g", title, inner)
    )
    class_ = "point chosen" if here else "point"
    return at(x, y, group, class_=class_, data_size=point.name)
