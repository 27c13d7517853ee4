"""How the threads of a process that computes wait for each other."""

import os

SPINS = "1000"
"""Turns of waiting before a thread sleeps.

On two cores, one of them busy with something else, eight small steps took 16 s with it and more
than 120 s with OpenMP's own; where nobody else wanted them both were alike.
"""


def environment() -> dict[str, str]:
    """The environment for such a process: this one's, and what it does not say about waiting.

    OpenMP's threads otherwise spin until the last of them is done, which can take ever so long
    where other programs want the processor too.
    """
    said = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
    return {**os.environ} if said else {**os.environ, "GOMP_SPINCOUNT": SPINS}
