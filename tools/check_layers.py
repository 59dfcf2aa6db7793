#!/usr/bin/env python3
"""Checks that includes run only down the layers.

    tools/check_layers.py [ROOT]

A room (a folder of src/) may include itself and every room that MAY_INCLUDE leads to. Prints each include that is not
allowed as file:line and exits with 1 if there is any.
"""
import re
import sys
from pathlib import Path

# room -> the rooms right below it
MAY_INCLUDE = {
    "base": [],
    "ranks": ["base"],
    "core": ["base"],
    "ops": ["core"],
    "backend": ["ops"],
    "nn": ["ops"],
    "io": ["core"],
    "text": ["base"],
    "image": ["core"],
    "diffusion": ["ops"],
    "models": ["nn", "io", "text", "diffusion"],
    "pipeline": ["models", "diffusion", "image"],
    "train": ["models", "diffusion", "image", "ranks"],
    "evaluate": ["pipeline"],
    "app": ["pipeline", "train", "evaluate", "ranks"],
}
INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')
EXTERNAL = {"hwy"}                         # libraries whose own headers are included in quotes
FOR_TESTS = {"tests", "tools", "backend"}  # what x_test.cc and x_bench.cc may include besides


def reachable(room):
    seen, todo = set(), [room]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += MAY_INCLUDE[current]
    return seen


def fault(room, is_test, target):
    """What is wrong with including `target` from a file of `room`, or None."""
    parts = target.split("/")
    top = parts[0]
    if len(parts) == 1 or ".." in parts:
        return f'"{target}" is not written as a path from src/'
    if top in reachable(room) or top in EXTERNAL or (is_test and top in FOR_TESTS):
        return None
    if top in MAY_INCLUDE:
        return f'{room} may not include {top} ("{target}")'
    return f'"{target}" is in no room'


def violations(root):
    source = root / "src"
    for file in sorted(p for p in source.rglob("*") if p.suffix in (".h", ".cc")):
        room = file.relative_to(source).parts[0]
        where = file.relative_to(root)
        if room not in MAY_INCLUDE:
            yield f"{where}:1: {room} is not a room; give it a place in tools/check_layers.py"
            continue
        is_test = file.stem.endswith(("_test", "_bench"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            wrong = match and fault(room, is_test, match.group(1))
            if wrong:
                yield f"{where}:{number}: {wrong}"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = list(violations(root))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
