"""Which folders of this machine a name may mean."""

from dataclasses import dataclass
from pathlib import Path

from boomerang.errors import BadName


@dataclass(frozen=True, slots=True)
class Folders:
    """Those below `root`, which people know as `called`; none where that is None."""

    root: Path | None
    called: str

    def path(self, name: str) -> Path | None:
        """Where a name lies; None where there is no root.

        Raises BadName for a path that leaves the root, links included.
        """
        if name.startswith(("/", "~")) or "\\" in name or "\0" in name or ".." in name.split("/"):
            raise BadName(
                f"{name!r} is no name of a model or a text.",
                value=name,
                fix=f"Give a Hub repo id, or a folder below {self.called} without '..'.",
            )
        if self.root is None:
            return None
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise BadName(
                f"{name!r} leads out of {self.called}.", value=name, fix="Move the folder there."
            )
        return path
