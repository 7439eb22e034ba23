# Object storage for development and tests: ministack speaks the S3 protocol, keeps everything in memory, and checks no
# credentials. Not for data that matters. docker/images.sh builds it.
ARG BASE=debian:bookworm-20260406-slim@sha256:4724b8cc51e33e398f0e2e15e18d5ec2851ff0c2280647e1310bc1642182655d

FROM ${BASE} AS packages
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3-venv
COPY requirements.txt /tmp/requirements.txt
RUN python3 -m venv --copies /opt/storage \
    && /opt/storage/bin/pip install --no-cache-dir --no-deps -r /tmp/requirements.txt \
    && /opt/storage/bin/pip uninstall -y pip setuptools

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 storage \
    && useradd --uid 10001 --gid storage --home-dir /tmp --no-create-home --shell /usr/sbin/nologin storage
COPY --from=packages /opt/storage /opt/storage
# ministack runs what lies in ready.d once it answers.
COPY make_bucket.py /docker-entrypoint-initaws.d/ready.d/
COPY put_folder.py /opt/storage/bin/
USER 10001:10001
ENV PATH=/opt/storage/bin:$PATH PYTHONUNBUFFERED=1 BUCKET=windlass LOG_LEVEL=WARNING
EXPOSE 4566
CMD ["python", "-m", "hypercorn", "ministack.app:app", "--bind", "0.0.0.0:4566"]
