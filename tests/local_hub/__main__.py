"""`python -m tests.local_hub`: a Hub on this machine, until it is stopped."""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvicorn

from tests.local_hub.app import build
from tests.local_hub.fixture import configuration, listening
from tests.local_hub.repos import OWNER
from tests.local_hub.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.local_hub", description=__doc__)
    parser.add_argument("--folder", type=Path, help="what it keeps; by default nothing is kept")
    parser.add_argument("--port", type=int, default=0, help="by default any that is free")
    options = parser.parse_args()
    with ExitStack() as stack:
        made = options.folder or stack.enter_context(tempfile.TemporaryDirectory())
        layer = build(Store(Path(made)))
        listener = stack.enter_context(listening(options.port))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(f"Hub at {address}: HF_ENDPOINT={address} HF_TOKEN={OWNER}", flush=True)
        uvicorn.Server(configuration(layer)).run([listener])


if __name__ == "__main__":
    main()
