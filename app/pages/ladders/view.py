"""What the parts of a family's page are drawn from, each read once and only if a part needs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from app.pages.ladders.series import Series, series_of
from app.pages.ladders.sizes import CONTEXTS, SORTS, Size, bands, chosen_of, ordered, sizes_of
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family, Member, Request
from boomerang.catalog.records.students import Student
from boomerang.charts.drawing.scales import scale_of
from boomerang.charts.layers import Row, layers_chart
from boomerang.charts.quality import quality_chart
from boomerang.family.composition import composition_of
from boomerang.family.layer_map import LayerMap
from boomerang.family.memory import CONTEXT

MOST_OF_A_STRIP = 64
"""Layers of which each can still be told from its neighbours in a row of the table."""
LEAST_OF_A_CURVE = 2
"""Sizes with a figure, without which there is no curve to see."""


@dataclass(frozen=True)
class LadderView:
    """The ladder of a family as an address asks for it: `query` are its parameters.

    What is no size, metric, column or length of the page counts as not asked for.
    """

    catalog: Catalog
    family: Family
    query: Mapping[str, str]

    @cached_property
    def student(self) -> Student:
        """The family's student."""
        return self.catalog.student(self.family.student)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The ladder, smallest first."""
        return self.catalog.members(self.family.id)

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        """What was asked of the family."""
        return self.catalog.requests(self.family.id)

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """Every metric; those of held-out text are there before they are measured."""
        return series_of(self.members)

    @cached_property
    def tabs(self) -> tuple[Series, ...]:
        """The metrics that there is something to see of."""
        return tuple(one for one in self.series if one.known)

    @cached_property
    def metric(self) -> Series | None:
        """The metric that is shown."""
        asked = [one for one in self.tabs if one.key == self.query.get("metric")]
        return next(iter((*asked, *self.tabs)), None)

    @property
    def naive(self) -> bool:
        """Whether the curve has naive pruning beside it, which may be far worse than all else."""
        return self.query.get("naive") != "no"

    @cached_property
    def context(self) -> int:
        """The tokens of a sequence that memory is told of."""
        said = self.query.get("context", "")
        return int(said) if said in map(str, CONTEXTS) else CONTEXT

    @cached_property
    def chosen(self) -> str | None:
        """The size that the page is about."""
        return chosen_of(self.members, self.query.get("size"), self.family, self.requests)

    @property
    def at(self) -> int:
        """Where the chosen size stands in the ladder."""
        return [one.size for one in self.members].index(self.chosen or "")

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """Every size, smallest first."""
        return sizes_of(self.family, self.student, self.members, self.series, self.context)

    @property
    def sort(self) -> str:
        """The column by which the table is ordered, with `-` from the largest down."""
        said = self.query.get("sort", "")
        known = (*SORTS, *(one.key for one in self.series))
        return said if said.removeprefix("-") in known else "parameters"

    @property
    def rows(self) -> list[Size]:
        """Every size in the order that was asked for."""
        return ordered(self.sizes, self.sort)

    @property
    def roomy(self) -> bool:
        """Whether rows of the table have a picture of their layers and a link to their tar, which
        the chosen size has above them; of a deep teacher they would make the page too heavy.
        """
        return self.student.layers <= MOST_OF_A_STRIP

    @cached_property
    def curve(self) -> str:
        """The quality of every size by its parameters, as SVG; empty where nothing is known."""
        of = self.metric
        if of is None or sum(p.value is not None for p in of.points) < LEAST_OF_A_CURVE:
            return ""
        return quality_chart(
            of.points,
            metric=of.metric,
            naive=of.naive if self.naive else (),
            chosen=self.chosen,
            fits=bands(self.sizes),
        )

    @cached_property
    def layers(self) -> str:
        """The layers of teacher, student and every size, as SVG."""
        layermap = LayerMap(self.student.kept, self.student.layers)
        rows = [Row(one.size, composition_of(layermap, one.code)) for one in self.members]
        return layers_chart(rows, chosen=self.chosen)

    @cached_property
    def places(self) -> list[int]:
        """Where the sizes stand on a slider from 0 to 1000, as on the curve above it."""
        found = [one.parameters for one in self.members]
        if len(set(found)) < LEAST_OF_A_CURVE:
            return [0 for _ in found]
        scale = scale_of(found, log=found[-1] > 20 * max(1, found[0]), pad=0)
        return [round(1000 * scale.place(one)) for one in found]

    def address(self, **changes: object) -> str:
        """The query of this page with other parameters; None takes one away."""
        asked = {**self.query, **changes}
        known = {name: str(asked[name]) for name in _ASKED if asked.get(name) is not None}
        return "?" + urlencode(known)


_ASKED = ("size", "metric", "context", "sort", "naive", "before")
