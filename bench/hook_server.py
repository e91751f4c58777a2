"""A producer's HTTPS server that takes everything: `python -m bench.hook_server PORT CERTIFICATE KEY`."""

import asyncio
import ssl
import sys
from typing import Final

_OK: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            writer.write(_OK)
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


async def _main(port: int, certificate: str, key: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = await asyncio.start_server(_serve, "127.0.0.1", port, ssl=tls)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), *sys.argv[2:4]))
