"""What is left of a server of this model without all that a product needs. `python -m benchmarks.load.bare MODEL PORT`.

It reads, runs the model and writes, each by the fastest way that was found. No route, no check, no limit, no id, no count; it
never lets several questions share a run, and a malformed byte ends it.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import simdjson
import uvloop

from serving.runtime import open_session, runner

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: %d\r\ncontent-length: %d\r\n\r\n"
WIDE = 128


class Bare(asyncio.BufferedProtocol):
    """Of one connection, which asks one question after the other. Bodies are read to where they stay."""

    def __init__(self, run: Any) -> None:
        self.run, self.parser = run, simdjson.Parser()
        self.buffer = bytearray(4 << 20)
        self.room = memoryview(self.buffer)
        self.have = self.need = self.head = self.text = 0

    def connection_made(self, transport: Any) -> None:
        self.write = transport.write

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.room[self.have :]

    def buffer_updated(self, size: int) -> None:
        self.have += size
        if not self.need:
            self.head = self.buffer.find(b"\r\n\r\n", 0, self.have) + 4
            if self.head == 3:
                return
            head = bytes(self.room[: self.head]).lower()
            self.text = number(head, b"\r\ninference-header-content-length: ")
            self.need = self.head + number(head, b"\r\ncontent-length: ")
        if self.have >= self.need:
            self.have = self.have - self.need
            (self._binary if self.text else self._json)()
            self.need = 0

    def _json(self) -> None:
        said: Any = self.parser.parse(self.room[self.head : self.need])
        data = said["inputs"][0]["data"].as_buffer(of_type="d")
        del said
        rows = memoryview(data).nbytes // (8 * WIDE)
        answer = self.run(["predict"], {"X": np.ndarray((rows, WIDE), np.float64, data)})[0]
        tensor = {"name": "predict", "datatype": "FP64", "shape": answer.shape, "data": answer.reshape(-1)}
        body = orjson.dumps({"outputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)
        self.write(HEAD % len(body) + body)

    def _binary(self) -> None:
        start = self.head + self.text
        rows = (self.need - start) // (8 * WIDE)
        answer = self.run(["predict"], {"X": np.ndarray((rows, WIDE), np.float64, self.buffer, start)})[0]
        size = {"binary_data_size": answer.nbytes}
        tensor = {"name": "predict", "datatype": "FP64", "shape": answer.shape, "parameters": size}
        text = orjson.dumps({"outputs": [tensor]})
        self.write(SIZED % (len(text), len(text) + answer.nbytes) + text + answer.tobytes())


def number(head: bytes, name: bytes) -> int:
    at = head.find(name)
    return 0 if at < 0 else int(head[at + len(name) : head.index(b"\r", at + len(name))])


async def serve(model: str, port: int) -> None:
    run = runner(open_session(Path(model).read_bytes()))
    server = await asyncio.get_running_loop().create_server(lambda: Bare(run), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
