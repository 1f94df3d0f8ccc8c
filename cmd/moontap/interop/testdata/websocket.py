"""A WebSocket server, and a client that talks to it through a proxy.

websocket.py serve ADDRESS [CERT KEY]
websocket.py talk PROXY HOST:PORT [CA]
"""
import asyncio
import socket
import ssl
import sys

import websockets


async def echo(ws, path=None):
    async for message in ws:
        if message == "bye":
            await ws.close(4001, "as you wish")
            return
        await ws.send(message)


async def serve(address, cert=None, key=None):
    tls = None
    if cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, key)
    async with websockets.serve(echo, address, 0, ssl=tls, max_size=None) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


def tunnel(proxy, target):
    host, _, port = proxy.rpartition(":")
    sock = socket.create_connection((host, int(port)))
    sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        got = sock.recv(1)
        if not got:
            raise EOFError("the proxy hung up: %r" % head)
        head += got
    assert b" 200 " in head.split(b"\r\n")[0], head
    return sock


async def talk(proxy, target, ca=None):
    tls = ssl.create_default_context(cafile=ca) if ca else None
    uri = ("wss://" if ca else "ws://") + target + "/echo?x=1"
    options = {"ssl": tls, "server_hostname": target.split(":")[0]} if ca else {}
    async with websockets.connect(uri, sock=tunnel(proxy, target), max_size=None, **options) as ws:
        assert ws.extensions, "permessage-deflate was not negotiated"
        large = "0123456789" * 1_000_000
        for message in ["hello", "", "héllo wörld", b"\x00\xff" * 1000, large, bytes(range(256)) * 40_000]:
            await ws.send(message)
            got = await ws.recv()
            assert got == message, (len(got), len(message))
        await ws.send(["in ", "three ", "parts"])
        assert await ws.recv() == "in three parts"
        await asyncio.wait_for(await ws.ping(b"p"), 30)
        await ws.send("bye")
        try:
            await ws.recv()
        except websockets.ConnectionClosed:
            pass
        assert (ws.close_code, ws.close_reason) == (4001, "as you wish"), (ws.close_code, ws.close_reason)
    print("all well")


if __name__ == "__main__":
    what = {"serve": serve, "talk": talk}[sys.argv[1]]
    asyncio.run(what(*sys.argv[2:]))
