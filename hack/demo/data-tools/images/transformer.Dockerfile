# The context, made by hack/demo/images.sh, is the root directory of the image: static programs in /bin.
FROM scratch
COPY . /
ENV PATH=/bin
# A volume that this image writes to must let group 65532 in: fsGroup: 65532 in the pod, or the directory's mode.
USER 65532:65532
ENTRYPOINT ["/bin/transform"]
