# What serves, and nothing that could open a pickle. build.sh fetches the wheels and, where there is no model.onnx of this
# model.pkl yet, converts it first (bundle/image/conversion.Dockerfile); no step has a network.

# The one place that names Python's minor version; build.sh and .ci/engine read it here.
ARG PYTHON=3.12
ARG BASE_IMAGE=python:${PYTHON}-slim
# serving, or batch: the same and what answers whole tables.
ARG KIND=serving

# runtime: an interpreter without pickle, and the packages that serve.
FROM ${BASE_IMAGE} AS runtime
ARG KIND
COPY build/wheels/${KIND} /wheels
RUN python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
        --no-index --find-links /wheels --no-deps --require-hashes -r /wheels/requirements.txt \
    && python -m pip uninstall --quiet --yes --root-user-action=ignore pip \
    && rm -rf /wheels
COPY bundle/image/no_pickle.py /tmp/pickle.py
# onnxruntime's binding links its library in; the separate 34 MB libonnxruntime.so.1 is for C programs.
# lib2to3 holds pickle files, as do numpy's tests; ensurepip holds pip. The rest cannot work here: no display, no onnx.
RUN lib="$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && cd "$lib" \
    && rm -rf lib-dynload/_pickle.* lib-dynload/_tkinter.* lib-dynload/*_test* lib-dynload/_test* \
        _compat_pickle.py pickletools.py shelve.py ensurepip idlelib lib2to3 pydoc_data tkinter turtle* config-* \
        /usr/local/include /usr/local/bin/2to3* /usr/local/bin/idle* /usr/local/bin/pip* /usr/local/bin/pydoc* \
        site-packages/setuptools* site-packages/wheel* site-packages/pkg_resources \
        site-packages/onnxruntime/capi/libonnxruntime.so.* \
    && cd site-packages/onnxruntime && rm -rf backend datasets quantization tools transformers && cd "$lib" \
    && find . -depth -type d \( -name test -o -name tests -o -name __pycache__ \) -exec rm -rf {} + \
    && mv /tmp/pickle.py pickle.py \
    && python -B -m compileall -q -f --invalidation-mode unchecked-hash . \
    && find / -xdev -type f -perm /6000 -exec chmod ug-s {} + \
    && ! python -c 'import _pickle' 2>/dev/null

# app-serving: our own rooms and the model, proved once more on the interpreter that ships.
FROM runtime AS app-serving
ENV ORT_DISABLE_TELEMETRY=1
WORKDIR /app
COPY serving serving
COPY recommender recommender
COPY server.py ./
RUN python -B -m compileall -q -f --invalidation-mode unchecked-hash .
COPY model.onnx ./
ARG MODEL_SHA256
RUN python -c 'import sys; from pathlib import Path; from serving.model import Model; model = Model.load(Path("model.onnx")); \
        model.verify(); sys.exit(sys.argv[1] not in ("", model.digest) and f"model.onnx: {model.digest}, expected {sys.argv[1]}")' \
        "$MODEL_SHA256"

FROM app-serving AS app-batch
COPY batch batch
RUN python -B -m compileall -q -f --invalidation-mode unchecked-hash batch

# closure: the files that a server, or a batch too, was seen to need, each once, under one time.
FROM app-${KIND} AS closure
ARG SOURCE_DATE_EPOCH
COPY bundle/image/closure.py bundle/image/rehearse.py bundle/image/rehearse_batch.py NOTICE /tmp/
RUN python /tmp/closure.py /closure && mkdir -p /closure-state/state

# From scratch: no shell, no package manager, and no layer below that still holds what was removed above.
FROM scratch AS image
COPY --from=closure /closure /
# For counts and reports, where a volume is mounted; whoever runs it must be able to write there.
COPY --from=closure --chown=65532:65532 /closure-state /
# The MALLOC_ settings keep megabyte buffers off mmap: 8.5 -> 5.4 ms of CPU for 1,024 rows of JSON. One arena, and what is free
# given back from 64 MB on: without these two, memory crept from 71 to 109 MB in ten minutes of mixed sizes; with them 69 to 70.
ENV PATH=/usr/local/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=33554432 \
    MALLOC_TRIM_THRESHOLD_=67108864 \
    MALLOC_TOP_PAD_=4194304
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="unjar" \
      org.opencontainers.image.description="A scikit-learn model out of its pickle, served over the Open Inference Protocol" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
WORKDIR /app
USER 65532:65532
STOPSIGNAL SIGTERM

FROM image AS image-batch
# Of the stores' certificates; a site mounts its own over it.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["python", "-m", "batch"]

FROM image AS image-serving
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "serving.health"]
ENTRYPOINT ["python", "server.py", "--host", "0.0.0.0"]

FROM image-${KIND}
