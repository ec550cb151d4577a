# The service's image: `docker build -t content .`
#
# BASE is any image with Python 3.11 to 3.14, its venv module and glibc, the same for both stages;
# another mirror or distribution: --build-arg BASE=registry.example/python:3.13.7-slim-bookworm.
ARG BASE=python:3.13.7-slim-bookworm

FROM ${BASE} AS made
WORKDIR /opt/content
COPY requirements.txt ./
# pip stays behind in the tool's venv. Wheels only: there is no compiler, and none is wanted.
RUN python3 -m venv /opt/pip \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/pip/bin/pip --python /opt/venv/bin/python install --no-cache-dir \
       --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.txt
# More packages, for traces: docs/operations.md.
ARG PACKAGES=
RUN test -z "${PACKAGES}" || /opt/pip/bin/pip --python /opt/venv/bin/python install --no-cache-dir \
       --disable-pip-version-check --only-binary :all: ${PACKAGES}
COPY . ./
# The root file system is read-only where it runs, so bytecode is made here.
RUN mv deploy/healthcheck.py . && rm -r deploy requirements.txt && /opt/venv/bin/python -m compileall -q .

FROM ${BASE}
ARG VERSION=1.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="content" \
      org.opencontainers.image.description="Content metadata of a video site: JSON over HTTP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=made /opt/venv /opt/venv
COPY --from=made /opt/content /opt/content
WORKDIR /opt/content
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=1337 \
    TMPDIR=/tmp
# The embedded store's file, where no Cassandra is named; mount a volume there to keep it.
ENV EMBEDDED_PATH=/tmp/content.sqlite3
USER 65532:65532
EXPOSE 1337
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-S", "healthcheck.py"]
# Python itself is PID 1: SIGTERM drains, and the exit status is 0.
CMD ["python", "service.py"]
