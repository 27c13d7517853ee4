"""By which rules the layers that a student keeps may be found: their names.

No torch here: how each measures is in `boomerang.quality.choosing.maps`.
"""

from typing import Literal, get_args

MapRule = Literal["published", "similarity", "divergence"]
"""`published` is by the teacher's depth alone; all others measure."""
PUBLISHED: MapRule = "published"
DEFAULT: MapRule = "divergence"
"""The rule of a recipe that names none."""
MEASURED: tuple[str, ...] = tuple(rule for rule in get_args(MapRule) if rule != PUBLISHED)
