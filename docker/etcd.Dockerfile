# etcd from Debian's packages. docker/images.sh etcd builds it.
ARG BASE=debian:bookworm-20260406-slim@sha256:4724b8cc51e33e398f0e2e15e18d5ec2851ff0c2280647e1310bc1642182655d
FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends etcd-server etcd-client \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 keeper \
    && useradd --uid 10001 --gid keeper --home-dir /var/lib/etcd --no-create-home --shell /usr/sbin/nologin keeper \
    && install --directory --owner keeper --group keeper --mode 0700 /var/lib/etcd
USER 10001:10001
ENV ETCDCTL_API=3
EXPOSE 2379 2380
CMD ["etcd", "--data-dir", "/var/lib/etcd"]
