"""Records that could not be used, one JSON object a line, for those who mend them and send them again."""

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from atp.mapping import Refused

#: Bytes of a record that are repeated.
_RAW_MAX = 4_096


class Rejects:
    """A file that is made when the first record goes in."""

    def __init__(self, path: Path | None, keep_bytes: int) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        #: Bytes written before the point at which an earlier run is taken up.
        self._keep = keep_bytes if path and path.is_file() else 0
        if self._keep:
            self._open()
        elif path:
            path.unlink(missing_ok=True)

    def __enter__(self) -> "Rejects":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file:
            self._file.close()

    def add(self, line: int, raw: bytes, refused: Refused) -> None:
        """Keep one record with its line number and the reason."""
        if not self._path:
            return
        text = raw[:_RAW_MAX].decode(errors="replace").rstrip("\r\n")
        told = {"line": line, "reason": refused.reason, "detail": refused.detail, "text": text}
        (self._file or self._open()).write(msgspec.json.encode(told) + b"\n")

    def flush(self) -> int:
        """Hand all to the system; the bytes written so far."""
        if not self._file:
            return 0
        self._file.flush()
        return self._file.tell()

    def _open(self) -> BinaryIO:
        assert self._path
        self._file = self._path.open("r+b" if self._keep else "wb")
        self._file.truncate(self._keep)
        self._file.seek(self._keep)
        return self._file
