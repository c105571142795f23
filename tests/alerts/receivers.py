"""Counterparts that are really talked to: an HTTP server and a mail server, as plain as can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """Answers every POST by what `status` says; 0 is no answer at all."""

    status: Callable[[int], int] = lambda _number: 200
    requests: list[Request] = field(default_factory=list)
    origin: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append(Request(first.split(" ")[1], headers, body))
                status = self.status(len(self.requests))
                if not status:
                    await asyncio.Event().wait()
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@dataclass
class MailReceiver:
    """Takes mail and keeps it; refuses recipients that `refuse` names, with its code."""

    refuse: dict[str, int] = field(default_factory=dict)
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())

        try:
            await self._talk(reader, say)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, say: Callable[[str], None]) -> None:
        say("220 mail.example")
        to = ""
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].upper()
            if verb == "RCPT":
                to = line.partition("<")[2].partition(">")[0]
                code = self.refuse.get(to, 250)
                say(f"{code} {'ok' if code == 250 else 'no'}")
            elif verb == "DATA":
                say("354 go on")
                self.messages.append((to, await reader.readuntil(b"\r\n.\r\n")))
                say("250 kept")
            elif verb == "QUIT":
                say("221 bye")
                break
            else:
                say("250 ok")


@asynccontextmanager
async def http_receiver(status: Callable[[int], int] | None = None) -> AsyncIterator[HttpReceiver]:
    receiver = HttpReceiver() if status is None else HttpReceiver(status)
    async with _listening(receiver.serve) as port:
        receiver.origin = f"http://127.0.0.1:{port}"
        yield receiver


@asynccontextmanager
async def mail_receiver() -> AsyncIterator[MailReceiver]:
    receiver = MailReceiver()
    async with _listening(receiver.serve) as receiver.port:
        yield receiver


@asynccontextmanager
async def _listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[object, object, None]],
) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
