"""An app of the kind that keeps connections open: a WebSocket, a long poll and an event stream, on aiohttp."""

import asyncio
import sys

from aiohttp import WSMsgType, web

news = asyncio.Queue()


async def socket(request):
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    await answer.send_str(f"hello {request.headers.get('X-ORCID-iD', 'nobody')}")
    async for message in answer:
        if message.type == WSMsgType.TEXT:
            await answer.send_str(message.data[::-1])
        elif message.type == WSMsgType.BINARY:
            await answer.send_bytes(message.data)
    return answer


async def poll(request):
    return web.Response(text=await asyncio.wait_for(news.get(), 30))


async def tell(request):
    await news.put(await request.text())
    return web.Response(status=204)


async def events(request):
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for number in range(3):
        await answer.write(f"data: {number} {await asyncio.wait_for(news.get(), 30)}\n\n".encode())
    return answer


async def main():
    app = web.Application()
    app.add_routes([web.get("/socket", socket), web.get("/poll", poll), web.post("/tell", tell), web.get("/events", events)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


sys.exit(asyncio.run(main()))
