"""Does the graph find the same outliers as an EllipticEnvelope?"""

from sklearn.covariance import EllipticEnvelope
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.repairs import covariance
from serving.signature import Array
from tests.conversion.lacking import agrees, lacks


def test_skl2onnx_still_lacks_it() -> None:
    assert lacks(covariance.COVERED)


def test_it_agrees(rows: Array) -> None:
    accepted = agrees(EllipticEnvelope(contamination=0.2, random_state=0).fit(rows), rows, covariance.NAME)
    assert [output.shape for output in accepted.signature.outputs] == [(-1,), (-1,)]


def test_it_agrees_after_a_scaler(rows: Array) -> None:
    agrees(make_pipeline(StandardScaler(), EllipticEnvelope(random_state=0)).fit(rows), rows, covariance.NAME)
