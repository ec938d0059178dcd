"""An OPC UA server of its own process: COUNT doubles, all changed once per second.

usage: _opcua_server.py COUNT; prints its port and ends when stdin closes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

from asyncua import Server, ua

URI = "urn:bench"


async def main(count: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(URI)
    nodes = [
        await server.nodes.objects.add_variable(ua.NodeId(f"V{i}", index), f"V{i}", 0.0)
        for i in range(count)
    ]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    async with server:
        print(port, flush=True)
        made = 0
        while not ended.is_set():
            made += 1
            for node in nodes:
                await server.write_attribute_value(node.nodeid, ua.DataValue(float(made)))
            try:
                async with asyncio.timeout(1.0):
                    await ended.wait()
            except TimeoutError:
                continue


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(main(int(sys.argv[1])))
