"""The models and layers that a command names."""

from boomerang.cli.progress import counted
from boomerang.family.layer_map import parse_layers
from boomerang.hub.find import Found
from boomerang.hub.find import find as find_model


def find(name: str) -> Found:
    """The model behind a folder's path or a Hub repo id, with a bar. Raises as `find.find`."""
    with counted(f"headers of {name}") as progress:
        return find_model(name, progress=progress)


def layers(kept: str | None) -> tuple[int, ...] | None:
    """Layers written as `0,2,4`; None where none are. Raises BadRequest."""
    return None if kept is None else parse_layers(kept)
