"""Who of several writers is first in an object store? The store says: an upload is taken only if its name is as it was seen.

pyarrow.fs, which reads and lists, has no such upload: its own overwrites whatever is there. Loaded only where an address asks
for a store.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import AzureStore, GCSStore, S3Store

from batch.errors import Hopeless, Retryable
from batch.places import Seen, State

# Of one upload: S3 takes 5 GB at once, at 1.4 MB/s in an hour.
LONGEST = timedelta(hours=1)
# Some seconds in all: who begins again goes on from here anyway.
TRIES, PAUSE_S = 6, 0.5


@dataclass(frozen=True)
class Bucket:
    """`uploads`: the same store, with more patience."""

    name: str
    store: Any
    uploads: Any

    @classmethod
    def of(cls, address: str, name: str, region: str) -> "Bucket":
        """address: as pyarrow.fs takes it; name: of the bucket, or container, in it. Raises Hopeless, Retryable."""
        parts = urlsplit(address)
        kind = {"s3": S3Store, "gs": GCSStore, "gcs": GCSStore, "abfs": AzureStore, "abfss": AzureStore}.get(parts.scheme)
        if kind is None:
            raise Hopeless(f"{parts.scheme}://: no store where only one writer can be first; expected s3://, gs:// or abfs://")
        said = {key: value for key, value in _said(parts, region).items() if value}
        # Who names an address without TLS means it, as for pyarrow.
        client: dict[str, Any] = {"allow_http": True}
        more: dict[str, Any] = {"config": said, "retry_config": {"max_retries": TRIES}}
        try:
            both = [kind(name, client_options=one, **more) for one in (client, client | {"timeout": LONGEST})]
            return cls(name, *both)
        except (BaseError, ValueError) as error:
            raise Retryable(f"{parts.scheme}://{name}: {_first_line(error)}") from None

    def seen(self, path: str) -> Seen:
        """path: with the bucket's name."""
        with self._asked(path):
            return _seen(self._head(path) or {})

    def state(self, path: str) -> State | None:
        with self._asked(path):
            found = self._head(path)
            return None if found is None else _state(found)

    def states(self, folder: str) -> dict[str, State]:
        """By their names below it."""
        key = self._key(folder)
        with self._asked(folder):
            listed = [one for some in obstore.list(self.store, prefix=key or None) for one in some]
        return {one["path"][len(key) :].lstrip("/"): _state(one) for one in listed}

    def fetch(self, path: str, most: int) -> tuple[bytes, State]:
        """The first `most` + 1 bytes, and the state they are of."""
        content = b""
        with self._asked(path):
            found = obstore.get(self.store, self._key(path))
            for part in found.stream():
                content += bytes(part)
                if len(content) > most:
                    break
            return content[: most + 1], _state(found.meta)

    def put(self, path: str, content: Any, seen: Seen) -> bool:
        """False when there is something else by now than what was seen; then it stays. content: bytes, or a map of a file."""
        with self._asked(path):
            for _ in range(TRIES):
                try:
                    obstore.put(self.uploads, self._key(path), content, mode=seen or "create")  # type: ignore[arg-type]
                    return True
                except FileNotFoundError:
                    raise Retryable(f"{path}: there is no bucket {self.name!r}") from None
                except (AlreadyExistsError, PreconditionError):
                    # S3 says no, too, while another upload is under way, which may still fail.
                    if seen or self._head(path) is not None:
                        return False
                    time.sleep(PAUSE_S)
        raise Retryable(f"{path}: others are writing it and do not come to an end")

    def _head(self, path: str) -> Any:
        with contextlib.suppress(FileNotFoundError):
            return obstore.head(self.store, self._key(path))
        return None

    def _key(self, path: str) -> str:
        return path[len(self.name) + 1 :]

    @contextlib.contextmanager
    def _asked(self, path: str) -> Iterator[None]:
        """Raises Retryable for what the store says no to; its own texts go on for pages."""
        try:
            yield
        except FileNotFoundError:
            raise Retryable(f"{path}: is not there") from None
        except BaseError as error:
            raise Retryable(f"{path}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].partition(": <")[0]


def _said(parts: SplitResult, region: str) -> dict[str, Any]:
    """What stands in an address beside the bucket, in obstore's words; the rest both take from the environment."""
    more = dict(parse_qsl(parts.query))
    user, secret = unquote(parts.username or ""), unquote(parts.password or "")
    endpoint = more.get("endpoint_override", "")
    if endpoint and "://" not in endpoint:
        endpoint = f"{more.get('scheme', 'https')}://{endpoint}"
    if parts.scheme == "s3":
        return {"region": region, "endpoint": endpoint, "access_key_id": user, "secret_access_key": secret}
    if parts.scheme in ("gs", "gcs"):
        return {"base_url": endpoint, "skip_signature": user == "anonymous"}
    host = parts.hostname or ""
    return {"account_name": host.partition(".")[0] if "." in host else user, "account_key": secret}


def _seen(found: Any) -> Seen:
    return {name: found[name] for name in ("e_tag", "version") if found.get(name)}


def _state(found: Any) -> State:
    # Azure quotes it, but not where it lists.
    return found["size"], 0, (found["e_tag"] or f"{found['version']} {found['last_modified']}").strip('"')
