"""Every source that needs no server keeps the contract of sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors import CollectionSource, FileSource, GeneratorSource
from pipeline.core.policy import ErrorPolicy
from pipeline.testing.connectors import SourceVerification


class TestCollectionInPlace(SourceVerification[int]):
    def create_source(self, records: int) -> CollectionSource[int]:
        return CollectionSource(range(records))

    def expected(self, records: int) -> list[int]:
        return list(range(records))


class TestCollectionOfOneShot(TestCollectionInPlace):
    def create_source(self, records: int) -> CollectionSource[int]:
        return CollectionSource(n for n in range(records))


class TestGenerator(SourceVerification[int]):
    def create_source(self, records: int) -> GeneratorSource[int]:
        return GeneratorSource(lambda n: n * n, count=records)

    def expected(self, records: int) -> list[int]:
        return [n * n for n in range(records)]


class TestPacedGenerator(TestGenerator):
    def create_source(self, records: int) -> GeneratorSource[int]:
        return GeneratorSource(lambda n: n * n, rate=20_000, count=records)


class FileSourceVerification(SourceVerification[Any]):
    """Shared by the formats: files are written once for each number of records."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path


class TestCsv(FileSourceVerification):
    """Values with quoted line ends, quotes, delimiters, and characters of more than one byte."""

    def create_source(self, records: int) -> FileSource:
        path = self.folder / f"{records}.csv"
        if not path.exists():
            rows = (f'{n},"Zoë, ""{n}""\nliving\r\nhere" \n' for n in range(records))
            path.write_bytes(("n,text\n" + "".join(rows).replace('" \n', '"\n')).encode())
        return FileSource(path)

    def expected(self, records: int) -> list[Any]:
        return [{"n": str(n), "text": f'Zoë, "{n}"\nliving\r\nhere'} for n in range(records)]


class TestCsvWithoutHeader(FileSourceVerification):
    """Line ends of Windows, a byte order mark, no line end at the end, empty lines."""

    def create_source(self, records: int) -> FileSource:
        path = self.folder / f"{records}.tsv"
        if not path.exists():
            path.write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n".join(b"%d\tx" % n for n in range(records)))
        return FileSource(path, fields=["n", "letter"])

    def expected(self, records: int) -> list[Any]:
        return [{"n": str(n), "letter": "x"} for n in range(records)]


class TestTsv(FileSourceVerification):
    """Quotes are characters there, and lines end with records."""

    def create_source(self, records: int) -> FileSource:
        path = self.folder / f"{records}.tsv"
        if not path.exists():
            path.write_text("n\ttext\n" + "".join(f'{n}\t"{n}\n' for n in range(records)))
        return FileSource(path)

    def expected(self, records: int) -> list[Any]:
        return [{"n": str(n), "text": f'"{n}'} for n in range(records)]


class TestCsvWithBadLines(FileSourceVerification):
    """One before each record and one at the end: they are passed, whatever is asked for."""

    def create_source(self, records: int) -> FileSource:
        path = self.folder / f"{records}.csv"
        if not path.exists():
            path.write_text("n,text\n" + "".join(f'"bad\n{n},"a\nb"\n' for n in range(records)) + "bad\n")
        return FileSource(path, on_error=ErrorPolicy.skip())

    def expected(self, records: int) -> list[Any]:
        return [{"n": str(n), "text": "a\nb"} for n in range(records)]


class TestText(FileSourceVerification):
    def create_source(self, records: int) -> FileSource:
        path = self.folder / f"{records}.log"
        if not path.exists():
            path.write_text("".join(f"é {n}\r\n" for n in range(records)), "utf-8", newline="")
        return FileSource(path)

    def expected(self, records: int) -> list[Any]:
        return [f"é {n}" for n in range(records)]


class TestJsonl(FileSourceVerification):
    def create_source(self, records: int) -> FileSource:
        path = self.folder / f"{records}.jsonl"
        if not path.exists():
            path.write_text("".join(f'{{"n": {n}, "é": [null]}}\n\n' for n in range(records)), "utf-8")
        return FileSource(path)

    def expected(self, records: int) -> list[Any]:
        return [{"n": n, "é": [None]} for n in range(records)]


class TestManyFiles(FileSourceVerification):
    """Three records a file, an empty file among them; the last file may be shorter."""

    def create_source(self, records: int) -> FileSource:
        folder = self.folder / str(records)
        if not folder.exists():
            folder.mkdir()
            (folder / "part-000.csv").touch()
            for first in range(0, records, 3):
                rows = "".join(f"{n}\n" for n in range(first, min(first + 3, records)))
                (folder / f"part-{first + 1:03}.csv").write_text("n\n" + rows)
        return FileSource(folder / "*.csv")

    def expected(self, records: int) -> list[Any]:
        return [{"n": str(n)} for n in range(records)]
