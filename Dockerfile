# dainr serve in a container: docker build -t dainr .   For CUDA: docker build --build-arg TORCH=cu126 -t dainr .
# It runs as a user without rights, and with a root that cannot be written: docker run --read-only --tmpfs /tmp dainr
FROM python:3.11-slim AS build
ARG TORCH=cpu
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY dainr dainr
COPY cli cli
COPY pretrained pretrained
RUN python -m venv /opt/dainr \
 && /opt/dainr/bin/pip install --no-cache-dir --index-url https://download.pytorch.org/whl/${TORCH} "$(grep '^torch==' constraints.txt)" \
 && /opt/dainr/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 dainr && mkdir /scans && chown dainr /scans
COPY --from=build /opt/dainr /opt/dainr
ENV PATH=/opt/dainr/bin:$PATH \
    HOME=/home/dainr \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/home/dainr/compiled \
    TMPDIR=/tmp
USER dainr
# compiles the loops of a fit, which stay in the image, and tests that images come back
RUN mkdir -p /home/dainr/compiled && dainr serve --check
EXPOSE 9002
# an empty session: a close message is answered by one
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
 "import socket; s = socket.create_connection(('127.0.0.1', 9002), 4); s.sendall(b'\\x04\\x00'); raise SystemExit(s.recv(2) != b'\\x04\\x00')"]
ENTRYPOINT ["dainr"]
CMD ["serve", "--host", "0.0.0.0", "--port", "9002"]
