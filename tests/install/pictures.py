#!/usr/bin/env python3
"""Whether PNG files that one encoder wrote show the same picture, whatever text they carry.

    tests/install/pictures.py FILE FILE...
"""
import struct
import sys
import zlib
from pathlib import Path


def picture(file):
    """The size and type, and the decompressed rows."""
    data, position, header, rows = Path(file).read_bytes(), 8, b"", b""
    while position < len(data):
        (length,) = struct.unpack(">I", data[position:position + 4])
        kind, body = data[position + 4:position + 8], data[position + 8:position + 8 + length]
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            rows += body
        position += length + 12
    return header, zlib.decompress(rows)


def main():
    first, *others = sys.argv[1:]
    different = [file for file in others if picture(file) != picture(first)]
    if different:
        sys.exit(f"{', '.join(different)}: not the picture of {first}")
    print(f"{len(others) + 1} files show the same picture")


if __name__ == "__main__":
    main()
