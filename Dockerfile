# syntax=docker/dockerfile:1
# The service without its servers: docker build -t atp . && docker run atp --help
# Settings come from the environment (atp config show); compose.yaml is an example of a whole deployment.

FROM python:3.13-slim AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.8 /uv /usr/local/bin/uv
ENV UV_CACHE_DIR=/var/cache/uv UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src

# The lock also has what tests and `atp dev` need. As a constraint it gives versions and hashes to what is asked for,
# and with --require-hashes nothing that it does not know is installed.
COPY pyproject.toml requirements.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
    uv venv --python /usr/local/bin/python3 /opt/atp \
    && uv pip install --python /opt/atp --require-hashes --constraint requirements.lock --requirement pyproject.toml

COPY README.md LICENSE ./
COPY migrations migrations
COPY atp atp
RUN --mount=type=cache,target=/var/cache/uv \
    uv build --wheel --require-hashes --build-constraint requirements.lock --out-dir /dist \
    && uv pip install --python /opt/atp --no-deps /dist/*.whl

FROM python:3.13-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="atp" \
      org.opencontainers.image.description="Available-to-promise and reservations for retail" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/atp /opt/atp
# Nothing is written outside of /tmp, so the root file system may be read-only.
ENV PATH=/opt/atp/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    ATP_HTTP_HOST=0.0.0.0 ATP_HTTP_PORT=8000 ATP_LOG_FORMAT=json
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the API; ingest and drain have metrics to ask instead (ATP_METRICS_PORT).
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as http; http.urlopen('http://127.0.0.1:' + os.environ['ATP_HTTP_PORT'] + '/health/live', timeout=2)"]
ENTRYPOINT ["atp"]
CMD ["serve"]
