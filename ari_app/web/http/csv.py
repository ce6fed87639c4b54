"""Answers that are CSV files."""

from collections.abc import AsyncIterator

from aiohttp import web


async def csv_file(request: web.Request, name: str, pieces: AsyncIterator[str]) -> web.StreamResponse:
    """Answer with a file, whose ``pieces`` are sent as they are read."""
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
    response.content_type, response.charset = "text/csv", "utf-8"
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece.encode())
    await response.write_eof()
    return response
