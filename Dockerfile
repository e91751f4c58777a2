# One image for all processes; the command selects the process.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock requirements-service.lock ./
RUN python -m venv /tools && /tools/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
RUN python -m venv /app && /app/bin/pip install --no-cache-dir --require-hashes -r requirements-service.lock
COPY . .
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels ./client . \
 && /app/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.13-slim
RUN useradd --system --create-home --uid 10001 orders
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1
USER orders
WORKDIR /home/orders
# On SIGTERM a worker finishes its running tasks; docker-compose.yml allows the time for it.
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "workers.celery_app", "worker", "--without-gossip", "--without-mingle"]
