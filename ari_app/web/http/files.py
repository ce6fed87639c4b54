"""Answers that are files: sent as they are made, however long they are."""

from collections.abc import AsyncIterator

from aiohttp import web

from ari_app.web.http.notes import notes_of

CSV, JSON = "text/csv", "application/json"


async def file_answer(request: web.Request, name: str, pieces: AsyncIterator[str], type: str) -> web.StreamResponse:
    """Answer with a file of a media type in UTF-8, whose ``pieces`` are sent as they are read."""
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
    response.content_type, response.charset = type, "utf-8"
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    notes_of(request).begun = True
    async for piece in pieces:
        await response.write(piece.encode())
    await response.write_eof()
    return response
