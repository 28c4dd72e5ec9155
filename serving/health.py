"""Is the server ready? `python -m serving.health [--url http://127.0.0.1:8080]` exits 0 ready, 1 not ready, 2 no answer.

The standard library only, and no proxy: it is the container's own health check.
"""

import argparse
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

TIMEOUT_S = 3


def check(url: str) -> tuple[int, str]:
    """The exit code and a line to print with it."""
    # A proxy from the environment would be asked for the container's own 127.0.0.1.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context()))
    try:
        _ = urlsplit(url).port  # ValueError above 65535, of which getaddrinfo would take the lowest 16 bits
        with opener.open(f"{url.rstrip('/')}/v2/health/ready", timeout=TIMEOUT_S) as answer:
            return (0, "ready") if json.load(answer).get("ready") is True else (1, "not ready: it did not say so")
    except urllib.error.HTTPError as refusal:
        with refusal:
            return 1, f"not ready: {refusal.read(1000).decode(errors='replace')}"
    except (OSError, ValueError, AttributeError) as error:
        return 2, f"{url}: no answer: {error}"


def context() -> ssl.SSLContext:
    """For the server on this very host: its certificate names another, and is what it knows clients by, if it does."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if "UNJAR_TLS_CLIENT_CA" in os.environ:
        context.load_cert_chain(os.environ["UNJAR_TLS_CERT"], os.environ["UNJAR_TLS_KEY"])
    return context


def own_url() -> str:
    """Where the server with this environment is, seen from beside it."""
    scheme = "https" if "UNJAR_TLS_CERT" in os.environ else "http"
    return f"{scheme}://127.0.0.1:{os.environ.get('UNJAR_PORT', '8080')}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.health", description="Exits 0 when the server is ready.")
    parser.add_argument("--url", default=own_url(), help="default: %(default)s")
    code, text = check(parser.parse_args().url)
    (sys.stdout if code == 0 else sys.stderr).write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
