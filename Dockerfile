# One image for all processes; the command selects the process. Built from the lock files, whose hashes are checked.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock requirements-service.lock ./
RUN python -m venv /tools && /tools/bin/pip install --require-hashes -r requirements.lock
RUN python -m venv /app && /app/bin/pip install --require-hashes -r requirements-service.lock
COPY . .
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels ./client . \
 && /app/bin/pip install --no-deps --no-index /wheels/*.whl \
 # What is in the image (CycloneDX), for scanners: docker run --rm number-orders cat /app/sbom.json
 && /tools/bin/cyclonedx-py environment --output-format JSON --output-file /app/sbom.json /app/bin/python \
 # Nothing installs anything in a running container.
 && /app/bin/python -m pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin --uid 10001 --user-group orders
COPY --from=build /app /app
# Read-only: nothing is written but to /tmp. Bytecode is compiled at the installation.
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
WORKDIR /tmp
# On SIGTERM a worker finishes its running tasks; docker-compose.yml allows the time for it.
STOPSIGNAL SIGTERM
CMD ["python", "-m", "workers", "worker"]
