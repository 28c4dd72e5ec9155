"""python closure.py FOLDER: copies what the server needs of this image into FOLDER, which becomes the image from scratch.

Modules: what rehearse.py saw loaded, and packages that load parts of themselves on demand whole. Of each the compiled form;
our own rooms with their source, so that a reviewer reads what runs. Libraries: what those need, as ldd says. Licences: the
texts of everything that is copied. All with one time, so that two builds make the same files.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

STDLIB = Path(sysconfig.get_path("stdlib"))
SITE = Path(sysconfig.get_path("purelib"))
APP = Path("/app")
TAG = sys.implementation.cache_tag
# Zip files count from 1980.
MOMENT = (1980, 1, 1, 0, 0, 0)
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "1767225600"))
# These import on demand what no rehearsal can be sure to reach, or look whether it is there.
WHOLE = ("anyio", "httptools", "idna", "obstore", "orjson", "simdjson", "uvloop")
PRUNED = re.compile(r"/(_trio|_testbase|pytest_plugin)\b")
# Whom stores' certificates are signed by.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LICENCE = re.compile("licen[cs]e|copying|notice|thirdpartynotices|authors", re.IGNORECASE)
LIBRARY = re.compile(r"=> (/\S+)|^\s*(/\S*ld-linux\S*)", re.MULTILINE)
ELF = b"\x7fELF\x02\x01"
USERS = "root:x:0:0:root:/:/nonexistent\nunjar:x:65532:65532:unjar:/:/nonexistent\n"
GROUPS = "root:x:0:\nunjar:x:65532:\n"


def main(target: Path) -> None:
    modules = loaded() | whole()
    for source in sorted(modules):
        copy_module(source, target)
    for name in ("model.onnx", "server.py"):
        copy(APP / name, target)
    for data in (APP / "recommender").rglob("*"):
        if data.is_file() and data.suffix not in (".py", ".pyc"):
            copy(data, target)
    if (APP / "batch").exists():
        copy(CERTIFICATES, target)
    interpreter(target)
    zipped(target)
    libraries(target)
    metadata(target)
    (target / "etc/passwd").write_text(USERS)
    (target / "etc/group").write_text(GROUPS)
    settle(target)
    files = [path for path in target.rglob("*") if path.is_file() and not path.is_symlink()]
    sys.stderr.write(f"closure: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB\n")


def loaded() -> set[Path]:
    """Every file that a process of the rehearsal had loaded."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOADED"] = folder
        subprocess.run([sys.executable, Path(__file__).with_name("rehearse.py")], cwd=APP, check=True)
        lines = {
            line
            for path in Path(folder).iterdir()
            if path.is_file() and path.name.isdigit()
            for line in path.read_text().split("\n")
        }
    found = {Path(line) for line in lines if line}
    return {path for path in found if path.is_relative_to(STDLIB) or path.is_relative_to(APP)}


def whole() -> set[Path]:
    rooms = [APP / "serving", APP / "recommender", APP / "batch", *(SITE / name for name in WHOLE)]
    found = {path for room in rooms for path in room.rglob("*") if path.suffix in (".py", ".so")}
    # onnxruntime opens this one by its name.
    return {path for path in found if not PRUNED.search(str(path))} | {*SITE.glob("onnxruntime/capi/*providers_shared.so")}


def copy_module(source: Path, target: Path) -> None:
    compiled = source.parent / "__pycache__" / f"{source.stem}.{TAG}.pyc"
    if source.suffix != ".py" or not compiled.exists():
        copy(source, target)
    elif source.is_relative_to(APP):
        copy(source, target)
        copy(compiled, target)
    else:
        # Without its source a module is found under its own name.
        copy(compiled, target, source.with_suffix(".pyc"))


def copy(source: Path, target: Path, name: Path | None = None) -> None:
    place = target / str(name or source).lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    place.write_bytes(stripped(content) if content.startswith(ELF) else content)
    place.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def stripped(program: bytes) -> bytes:
    """An ELF file up to the end of what its program headers load: without symbols, debug information and section headers.

    64 bits, little-endian. Source: System V ABI, chapter 4 (ELF header) and 5 (program header).
    """
    at, size, count = struct.unpack_from("<Q", program, 32)[0], *struct.unpack_from("<HH", program, 54)
    headers = [struct.unpack_from("<IIQQQQ", program, at + i * size) for i in range(count)]
    end = max([at + count * size, *(offset + in_file for _, _, offset, _, _, in_file in headers)])
    kept = bytearray(program[:end])
    # No section headers: neither where they are, nor how many, nor which one holds their names.
    struct.pack_into("<Q", kept, 40, 0)
    struct.pack_into("<HH", kept, 60, 0, 0)
    return bytes(kept)


def zipped(target: Path) -> None:
    """The standard library's modules in the one file where Python looks for them first: 190 fewer to read, copy and scan.

    By os.pyc Python finds its folder; pickle.pyc, which can open none, stays where a reviewer looks for it.
    """
    folder = target / str(STDLIB).lstrip("/")
    found = [path for path in sorted(folder.rglob("*.pyc")) if not path.is_relative_to(folder / "site-packages")]
    with zipfile.ZipFile(folder.parent / f"python{TAG.removeprefix('cpython-')}.zip", "w") as archive:
        for path in found:
            if path.name not in ("os.pyc", "pickle.pyc") or path.parent != folder:
                archive.writestr(zipfile.ZipInfo(str(path.relative_to(folder)), MOMENT), path.read_bytes())
                path.unlink()
    for empty in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(empty.iterdir()) and empty.name != "lib-dynload":
            empty.rmdir()


def interpreter(target: Path) -> None:
    program = Path(sys.executable).resolve()
    copy(program, target)
    for name in ("python", "python3"):
        (target / "usr/local/bin" / name).symlink_to(program.name)
    (target / str(STDLIB / "lib-dynload").lstrip("/")).mkdir(exist_ok=True)


def libraries(target: Path) -> None:
    """Under the names by which they are asked for; the loader's own cache says where those in /usr/local are."""
    for name in ("lib", "lib64"):
        if (link := Path("/") / name).is_symlink() and (Path("/") / os.readlink(link)).exists():
            (target / name).symlink_to(os.readlink(link))
    programs = [target / "usr/local/bin" / Path(sys.executable).resolve().name, *target.rglob("*.so")]
    for path in sorted(needed(programs)):
        # A link would be copied as what it leads to, so the folder first.
        copy(path, target, path.parent.resolve() / path.name)
    (target / "etc").mkdir(exist_ok=True)
    (target / "etc/ld.so.conf").write_text("/usr/local/lib\n")
    subprocess.run(["ldconfig", "-r", target], check=True)
    (target / "etc/ld.so.conf").unlink()
    shutil.rmtree(target / "var", ignore_errors=True)
    shutil.copy("/etc/nsswitch.conf", target / "etc/nsswitch.conf")


def needed(programs: Iterable[Path]) -> set[Path]:
    found: set[Path] = set()
    for program in programs:
        # By its place in this image: what it needs lies beside it here.
        done = subprocess.run(["ldd", "/" + str(program).split("/", 2)[2]], capture_output=True, text=True)
        if "not found" in done.stdout:
            raise SystemExit(f"{program}: a library is missing here:\n{done.stdout}")
        found |= {Path(os.path.normpath(first or second)) for first, second in LIBRARY.findall(done.stdout)}
    return found


def distributions(target: Path) -> Iterator[Path]:
    """Those of which anything was copied."""
    site = target / str(SITE).lstrip("/")
    for folder in sorted(SITE.glob("*.dist-info")):
        files = [line.split(",")[0] for line in (folder / "RECORD").read_text().splitlines()]
        names = {
            name if name.endswith(".so") else name.removesuffix(".py") + ".pyc"
            for name in files
            if name.endswith((".py", ".so"))
        }
        if any((site / name).exists() for name in names):
            yield folder


def metadata(target: Path) -> None:
    """What scanners of images look for, and what is looked up by it at run time; what is here, and its licences."""
    texts = {"Python": [STDLIB / "LICENSE.txt"], "Unjar": [Path(__file__).with_name("NOTICE")]}
    listed = {f"generic python {sys.version.split()[0]}"}
    for folder in distributions(target):
        for name in ("METADATA", "entry_points.txt"):
            if (folder / name).exists():
                copy(folder / name, target)
        title = folder.name.removesuffix(".dist-info")
        places = sorted({*folder.rglob("*"), *(SITE / title.split("-")[0]).glob("*")})
        texts[title] = [path for path in places if path.is_file() and LICENCE.match(path.name)]
        listed.add(f"pypi {title.replace('-', ' ')}")
    for library in sorted(target.rglob("*.so*")):
        for package, version in owner("/" + str(library.relative_to(target))):
            texts[f"Debian's {package}"] = [Path("/usr/share/doc") / package / "copyright"]
            listed.add(f"deb {package} {version}")
    parts = [
        f"{title}\n{'=' * len(title)}\n\n{path.read_text(errors='replace')}" for title, paths in texts.items() for path in paths
    ]
    (target / "licenses.txt").write_text("\n\n".join(parts))
    (target / "components.txt").write_text("\n".join(sorted(listed)) + "\n")


def owner(name: str) -> list[tuple[str, str]]:
    """The packages of Debian that have this file, whose folders may be named as before /usr was merged."""
    for spelled in (name, name.removeprefix("/usr")):
        done = subprocess.run(["dpkg", "-S", spelled], capture_output=True, text=True)
        if done.returncode == 0:
            names = [line.split(":")[0] for line in done.stdout.splitlines()]
            show = ["dpkg-query", "--show", "--showformat", "${Version}"]
            return [(name, subprocess.run([*show, name], capture_output=True, text=True, check=True).stdout) for name in names]
    return []


def settle(target: Path) -> None:
    """One owner, one time, nothing that others may write."""
    for path in [target, *target.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o7022)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
