# The image of the controller. It holds the static binary that "make docker-build" makes before, and nothing else;
# another base (--build-arg BASE=gcr.io/distroless/static, say) may add what an organisation wants in every image.
# BuildKit, podman and buildah set TARGETOS and TARGETARCH for each platform.
ARG BASE=scratch
FROM ${BASE}
ARG TARGETOS
ARG TARGETARCH
LABEL org.opencontainers.image.title="sequentialjob-controller" \
      org.opencontainers.image.description="Runs the containers of a SequentialJob one after another, each as a Kubernetes Job" \
      org.opencontainers.image.source="https://github.com/example/sequential-job-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY bin/${TARGETOS}-${TARGETARCH}/sequentialjob-controller /sequentialjob-controller
# A number, since "runAsNonRoot: true" cannot tell what a name stands for.
USER 65532:65532
ENTRYPOINT ["/sequentialjob-controller"]
