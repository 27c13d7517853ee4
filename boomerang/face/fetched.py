"""Where a model lies that a process of its own is to load."""

from pathlib import Path

from boomerang.hub import fetch
from boomerang.hub.find import Found
from boomerang.processes.job import Told
from boomerang.service.settings import get_settings


def folder_of(model: Found, told: Told | None = None) -> Path:
    """The model's folder; one of the Hub is fetched once, to the service's own place for it.

    `told` is given an event `fetching` whenever more has come, in bytes. Raises as `fetch`.
    """
    if model.folder is not None:
        return model.folder

    def progress(done: int, of: int) -> None:
        if told is not None:
            told({"event": "fetching", "name": model.name, "done": done, "of": of})

    commit = model.commit()
    folder = get_settings().teacher_folder(commit)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return fetch.fetch(model.name, commit, folder, progress=progress)
