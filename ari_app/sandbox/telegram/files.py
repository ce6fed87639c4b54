"""Uploaded files: upload.saveFilePart and what a photo becomes (https://core.telegram.org/api/files)."""

from __future__ import annotations

import secrets
from typing import Any

from telethon.tl import functions, types

from .rpc import Client, RpcError, handles
from .store import Store
from .tl import now

MAX_PART = 512 * 1024
THIS_DC = 2


class Files:
    """Parts wait in memory until a message uses them; then the file is kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parts: dict[int, dict[int, bytes]] = {}

    @handles(functions.upload.SaveFilePartRequest, functions.upload.SaveBigFilePartRequest)
    def save_file_part(self, client: Client, request: Any) -> bool:
        """upload.saveFilePart and upload.saveBigFilePart."""
        if len(request.bytes) > MAX_PART:
            raise RpcError("FILE_PART_TOO_BIG")
        self._parts.setdefault(request.file_id, {})[request.file_part] = request.bytes
        return True

    def photo(self, file: Any) -> Any:
        """The photo made of an uploaded file; its size in pixels is not looked at. Raises `RpcError`."""
        parts = self._parts.get(file.id, {})
        missing = next((i for i in range(file.parts) if i not in parts), None)
        if missing is not None:
            raise RpcError(f"FILE_PART_{missing}_MISSING")
        del self._parts[file.id]
        return self.keep(b"".join(parts[i] for i in range(file.parts)))

    def keep(self, data: bytes) -> Any:
        """A photo of `data`, which is kept."""
        photo_id = secrets.randbits(62)
        self._store.put("files", {"id": photo_id, "data": data})
        return _photo(photo_id, len(data))

    def kept(self, photo_id: int) -> Any:
        """A photo that was sent before. Raises `RpcError`."""
        row = self._store.one("SELECT length(data) AS size FROM files WHERE id = ?", photo_id)
        if row is None:
            raise RpcError("MEDIA_INVALID")
        return _photo(photo_id, row["size"])

    @handles(functions.upload.GetFileRequest)
    def get_file(self, client: Client, request: Any) -> Any:
        """upload.getFile."""
        row = self._store.one("SELECT data FROM files WHERE id = ?", getattr(request.location, "id", 0))
        if row is None:
            raise RpcError("FILE_ID_INVALID")
        data = row["data"][request.offset : request.offset + request.limit]
        return types.upload.File(type=types.storage.FileJpeg(), mtime=0, bytes=data)


def _photo(photo_id: int, size: int) -> Any:
    sizes = [types.PhotoSize(type="x", w=800, h=800, size=size)]
    return types.Photo(
        id=photo_id, access_hash=photo_id, file_reference=b"local", date=now(), sizes=sizes, dc_id=THIS_DC
    )
