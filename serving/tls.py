"""Which certificates does the server show and ask for? What uvicorn is told, checked before it listens."""

import ssl
from typing import Any

from serving.errors import CannotStart
from serving.settings import Settings


def options(settings: Settings) -> dict[str, Any]:
    """uvicorn's settings; none without a certificate. Raises CannotStart when the files do not serve."""
    cert, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
    if cert is None and key is None and client_ca is None:
        return {}
    if cert is None or key is None:
        raise CannotStart("UNJAR_TLS_CERT and UNJAR_TLS_KEY go together, and UNJAR_TLS_CLIENT_CA needs both")
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A password would be asked for on a terminal that nobody looks at.
        trial.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise CannotStart(f"{cert} and {key}: no certificate with its key: {_reason(error)}") from None
    try:
        if client_ca is not None:
            trial.load_verify_locations(client_ca)
    except (OSError, ValueError) as error:
        raise CannotStart(f"{client_ca}: no certificates to know clients by: {_reason(error)}") from None
    return {
        "ssl_certfile": cert,
        "ssl_keyfile": key,
        "ssl_ca_certs": client_ca,
        "ssl_cert_reqs": ssl.CERT_NONE if client_ca is None else ssl.CERT_REQUIRED,
        "ssl_context_factory": _modern,
    }


def _modern(config: Any, default: Any) -> ssl.SSLContext:
    context: ssl.SSLContext = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
