#!/usr/bin/env python3
"""Checks that includes run only down the layers, that elements are touched only where kernels are, and that only the
program speaks of command lines and reads the environment.

    tools/check_layers.py [ROOT]

A room (a folder of src/) may include itself and every room that MAY_INCLUDE leads to. Above ops/, tensors are reached
through ops and host views alone: no views, handles or addresses of elements, whose device may have memory of its own.
Sentences of the library name fields in backquotes (`steps`); app/ turns them into options (app/cli/words.h).
Prints each line that is not allowed as file:line and exits with 1 if there is any.
"""
import re
import sys
from pathlib import Path

# room -> the rooms right below it
MAY_INCLUDE = {
    "sumi": [],                               # include/sumi, the public headers
    "base": ["sumi"],
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
    "engine": ["models", "diffusion", "image"],
    "api": ["engine"],
    "train": ["models", "diffusion", "image", "ranks"],
    "evaluate": ["engine"],
    "app": ["api", "engine", "train", "evaluate", "ranks"],
}
C_INTERFACE = "sumi.h"                     # include/sumi.h, which the room api implements
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
EXTERNAL = {"hwy"}                         # libraries whose own headers are included in quotes
FOR_TESTS = {"tests", "tools", "backend"}  # what x_test.cc and x_bench.cc may include besides
# Rooms that hand elements to kernels or are kernels; the others do not, except in tests and benches.
TOUCH_ELEMENTS = {"base", "core", "ops", "backend"}
KERNEL_HEADERS = {"core/view.h"}  # what only kernels need
# Of a tensor, view or buffer. (nlohmann::json has a data() without a type.)
ELEMENT_ACCESS = re.compile(r"(?:\.|->)\s*(?:template\s+)?"
                            r"((?:data|span)\s*<[\w:\s]+>|(?:raw|view|mutable_view|weight_view|handle)\s*\(\s*\))")
# The same by other ways: a pointer to the member, views by name, what host views are made of.
DETOUR = re.compile(r"(&\s*Tensor::\w*view|\bdetail::(?:host|editable)_bytes|\b(?:Mutable|Weight)?View\b)")
COMMENT = re.compile(r"//.*")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# Rooms that may read the environment: the program's, and the one that asks MPI's launcher which rank this is.
READ_ENVIRONMENT = {"app", "ranks"}
# Comments and characters, to skip them, and string literals.
LITERAL = re.compile(r"//[^\n]*|/\*.*?\*/|'(?:[^'\\\n]|\\.)'|"
                     r'R"(?P<mark>[^\s()\\"]*)\((?P<raw>.*?)\)(?P=mark)"|"(?P<plain>(?:[^"\\\n]|\\.)*)"', re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--[A-Za-z]")


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
    if target == C_INTERFACE:
        return None if room == "api" or is_test else f'{room} may not include "{target}": it is for C programs'
    if len(parts) == 1 or ".." in parts:
        return f'"{target}" is not written as a path from src/'
    if not is_test and room not in TOUCH_ELEMENTS and target in KERNEL_HEADERS:
        return f'{room} may not include "{target}": elements are reached through host views (core/host_view.h)'
    if top in reachable(room) or top in EXTERNAL or (is_test and top in FOR_TESTS):
        return None
    if top in MAY_INCLUDE:
        return f'{room} may not include {top} ("{target}")'
    return f'"{target}" is in no room'


def raw_access(path, is_test, line):
    """How a line of the file `path`, counted from src/, reaches for elements past the host views, or None."""
    room = path.parts[0]
    if is_test or room in TOUCH_ELEMENTS:
        return None
    code = STRING.sub('""', COMMENT.sub("", line))
    match = ELEMENT_ACCESS.search(code) or DETOUR.search(code)
    return match and f"{room} may not reach for elements with {match.group(1)}; use an op or a host view"


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def words_of_the_program(path, text):
    """(line, what is wrong) where a file counted from src/ speaks of options or commands, or reads the environment."""
    room = path.parts[0]
    if room != "app":
        for match in LITERAL.finditer(text):
            said = match["raw"] if match["raw"] is not None else match["plain"] or ""
            option = OPTION.search(said)
            if option or "`sumi " in said:
                what = "an option" if option else "a command"
                yield line_of(text, match.start()), f"{room} may not name {what}; name the field in backquotes"
    if room not in READ_ENVIRONMENT:
        code = LITERAL.sub(lambda match: re.sub(r"[^\n]+", " ", match[0]), text)
        for match in re.finditer(r"\b(?:secure_)?getenv\b", code):
            yield line_of(code, match.start()), f"{room} may not read the environment; app does, and passes options"


def violations(root):
    source = root / "src"
    for file in sorted(p for p in source.rglob("*") if p.suffix in (".h", ".cc")):
        path = file.relative_to(source)
        room = path.parts[0]
        where = file.relative_to(root)
        if room not in MAY_INCLUDE:
            yield f"{where}:1: {room} is not a room; give it a place in tools/check_layers.py"
            continue
        is_test = file.stem.endswith(("_test", "_bench"))
        text = file.read_text(encoding="utf-8")
        if not is_test:
            yield from (f"{where}:{number}: {wrong}" for number, wrong in words_of_the_program(path, text))
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if match and match.group(1) == "<" and match.group(2).split("/")[0] not in MAY_INCLUDE:
                continue  # a library's or the standard library's
            wrong = fault(room, is_test, match.group(2)) if match else raw_access(path, is_test, line)
            if wrong:
                yield f"{where}:{number}: {wrong}"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = list(violations(root))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
