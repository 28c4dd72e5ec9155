"""Has the house outgrown its limits? Prints the lines of every room; exits 1 when a room, a file or a function is too long."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Rooms that share a limit stand together; docs/decisions says why when a number here is raised. What conversion's proofs and
# its converters take is counted by itself.
LIMITS = {
    ("serving",): 6800,
    ("serving/telemetry",): 2800,
    ("recommender",): 3100,
    ("conversion",): 5000,
    ("conversion/trees", "conversion/error_bounds"): 3500,
    ("conversion/repairs",): 7000,
    ("training",): 800,
    ("bundle",): 1200,
    ("monitoring",): 2000,
    ("batch",): 2900,
}
PAGE_LIMIT, FILE_LIMIT, FUNCTION_LIMIT = 2500, 500, 80


def main() -> int:
    faults = [fault for rooms, limit in LIMITS.items() for fault in over(rooms, limit)]
    page = sum(lines(path) for path in ROOT.glob("recommender/web/**/*") if path.is_file())
    faults += [f"recommender/web: {page} lines, at most {PAGE_LIMIT}"] if page > PAGE_LIMIT else []
    for room in [room for rooms in LIMITS for room in rooms]:
        for path in (ROOT / room).rglob("*.py"):
            faults += too_long(path)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def over(rooms: tuple[str, ...], limit: int) -> list[str]:
    apart = [ROOT / room for others in LIMITS for room in others if others != rooms and room.startswith(f"{rooms[0]}/")]
    found = [path for room in rooms for path in (ROOT / room).rglob("*.py") if not set(apart) & set(path.parents)]
    counted = sum(lines(path) for path in found)
    print(f"{' + '.join(rooms)}: {counted} of {limit} lines")
    return [f"{' + '.join(rooms)}: {counted} lines, at most {limit}"] if counted > limit else []


def too_long(path: Path) -> list[str]:
    name = path.relative_to(ROOT)
    found = [f"{name}: {lines(path)} lines, at most {FILE_LIMIT}"] if lines(path) > FILE_LIMIT else []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LIMIT:
                found.append(f"{name}:{node.lineno} {node.name}: {size} lines, at most {FUNCTION_LIMIT}")
    return found


def lines(path: Path) -> int:
    return len(path.read_text(errors="replace").splitlines())


if __name__ == "__main__":
    sys.exit(main())
