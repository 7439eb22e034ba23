# The image with binaries that are already built, for development and tests. The context is a folder of these three files;
# docker/images.sh makes it, and the image of the stage `runtime` of docker/Dockerfile.
ARG RUNTIME=windlass-runtime:dev
FROM ${RUNTIME}
COPY windlass /usr/local/bin/
