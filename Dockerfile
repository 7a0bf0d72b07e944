# syntax=docker/dockerfile:1
# Built in two steps, so that the image holds no build tools. The modem is handed in: --device /dev/ttyUSB0.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/lapor
COPY requirements.lock ./
RUN /opt/lapor/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY channels channels
COPY parsers parsers
RUN /opt/lapor/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --groups dialout --home-dir /var/lib/lapor --create-home lapor
COPY --from=build /opt/lapor /opt/lapor
USER 10001
WORKDIR /var/lib/lapor
ENV PATH=/opt/lapor/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lapor-gateway"]
CMD ["run"]
