"""How is what we learned written so that the same numbers are always the same bytes?"""

import hashlib
import io
import json
import pickle
import zipfile

import numpy as np

from recommender.contour import STATIONS
from training.encoder import UNIT, Encoder
from training.sources import Shapes


def model(encoder: Encoder) -> bytes:
    return pickle.dumps(encoder.pipeline, protocol=4)


def catalogue(shapes: Shapes, encoder: Encoder, pickled: bytes) -> bytes:
    """What a search or a decoder needs at run time: np.savez without the clock, stored because compressors differ."""
    pca = encoder.pipeline.named_steps["pca"]
    arrays = {
        "id": [source.file.removesuffix(".dat") for source in shapes.sources],
        **{field: [getattr(source, field) for source in shapes.sources] for field in ("name", "source", "family")},
        "contour": shapes.heights.astype(np.float32),
        "latent": encoder.encode(shapes.heights).astype(np.float32),
        "station": STATIONS,
        "decode_components": pca.components_ / UNIT,
        "decode_mean": pca.mean_,
        "encoder_sha256": hashlib.sha256(pickled).hexdigest(),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())
    return out.getvalue()


def document(values: object, digits: int = 17) -> bytes:
    """JSON with so many significant digits."""
    rounded = json.loads(json.dumps(values), parse_float=lambda text: float(f"{float(text):.{digits}g}"))
    return (json.dumps(rounded, indent=2, ensure_ascii=False) + "\n").encode()
