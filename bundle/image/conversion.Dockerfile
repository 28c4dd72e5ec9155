# How a model.pkl becomes a model.onnx in a container without a network. A file of its own, because builders without BuildKit
# make every stage of a file, needed or not.

ARG BASE_IMAGE

# builder: what convert.py needs, and the whole of it, so that it answers here as on a laptop.
FROM ${BASE_IMAGE} AS builder
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1
WORKDIR /src
COPY build/wheels/builder /wheels
RUN python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
        --no-index --find-links /wheels --no-deps --require-hashes -r /wheels/requirements.txt

# model: the only step that opens model.pkl. It fails unless the translation answers as scikit-learn did.
FROM builder AS model
COPY conversion conversion
COPY serving serving
COPY recommender/data/catalogue.npz recommender/data/
# With the rows that went wrong once, where there are any.
COPY convert.py model.pkl regressions.jso[n] ./
RUN python convert.py model.pkl --data recommender/data/catalogue.npz --array contour
