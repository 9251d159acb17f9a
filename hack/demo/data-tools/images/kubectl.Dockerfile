# The context, made by hack/demo/images.sh, is the root directory of the image: kubectl in /bin.
FROM scratch
COPY . /
ENV PATH=/bin
USER 65532:65532
ENTRYPOINT ["/bin/kubectl"]
