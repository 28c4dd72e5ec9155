"""Is the child held to its limits?"""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from conversion import confined, sandbox
from conversion.errors import Refused, Unreadable
from conversion.parent import Order, convert
from conversion.sandbox import Limits, run
from tests.conversion.conftest import ROOT as REPOSITORY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose `work.py` the child runs as a module."""
    monkeypatch.setattr(sandbox, "ROOT", tmp_path)
    return tmp_path


def child(folder: Path, code: str) -> None:
    (folder / "work.py").write_text(textwrap.dedent(code))


def test_a_child_that_does_not_end_is_stopped_with_everything_it_started(folder: Path) -> None:
    child(
        folder,
        """
        import pathlib, subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time, pathlib; time.sleep(4); pathlib.Path('late').touch()"])
        time.sleep(60)
        """,
    )
    with pytest.raises(Refused, match=r"stopped after 2 s; --time-limit allows more"):
        run("work", [], folder, Limits(seconds=2))
    time.sleep(3)
    assert not (folder / "late").exists()


def test_memory_beyond_the_limit_is_not_given(folder: Path) -> None:
    child(folder, "x = bytearray(3 << 30)")
    with pytest.raises(Refused, match="needs more than the 1024 MiB of memory it may use; --memory-limit allows more"):
        run("work", [], folder, Limits(memory_bytes=1 << 30))
    run("work", [], folder, Limits(memory_bytes=8 << 30))


def test_a_file_beyond_the_limit_is_not_written(folder: Path) -> None:
    child(folder, "open('large', 'wb').write(bytes(2 << 20))")
    with pytest.raises(Refused, match="wrote a file larger than the 1 MiB that a model may have"):
        run("work", [], folder, Limits(file_bytes=1 << 20))
    assert (folder / "large").stat().st_size <= 1 << 20


def test_the_network_is_out_of_reach_where_the_host_allows_it(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child(folder, f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)")
        if sandbox.isolation() or confined.filtering():
            with pytest.raises(Refused, match=f"failed with status {confined.FAILED}"):
                run("work", [], folder, Limits())
        else:
            assert "network not cut off by us" in run("work", [], folder, Limits())


def test_the_child_gets_no_secret_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "secret")
    child(folder, "import os, json; json.dump(dict(os.environ), open('environment.json', 'w'))")
    run("work", [], folder, Limits())
    assert "A_TOKEN" not in (folder / "environment.json").read_text()


def test_a_child_that_dies_is_a_refusal_that_names_the_cause(folder: Path) -> None:
    child(folder, "import ctypes; ctypes.string_at(0)")
    with pytest.raises(Refused, match=r"died of SIGSEGV, perhaps for want of .*, or since the pickle is nested too deeply"):
        run("work", [], folder, Limits())


def test_the_python_that_runs_the_child_is_ours(folder: Path) -> None:
    child(folder, "import sys; open('which', 'w').write(sys.executable)")
    run("work", [], folder, Limits())
    assert (folder / "which").read_text() == sys.executable


def tried(folder: Path, *expressions: str) -> tuple[dict[str, str], list[str]]:
    """Whether each of the expressions was refused to the child, and the protections that it was told to have."""
    child(
        folder,
        f"""
        import json, os, pathlib, socket, sys
        def outcome(expression):
            try:
                eval(expression)
            except PermissionError:
                return "refused"
            except OSError as error:
                return os.strerror(error.errno)
            return "done"
        outcomes = {{expression: outcome(expression) for expression in {expressions!r}}}
        pathlib.Path("outcomes.json").write_text(json.dumps(outcomes))
        """,
    )
    protections = run("work", [], folder, Limits())
    return json.loads((folder / "outcomes.json").read_text()), protections


SEES = "sees only Python, the system's libraries and its folder"


@pytest.fixture
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the user's, outside the folder."""
    path = tmp_path_factory.mktemp("home") / "secret"
    path.write_text("secret")
    return path


def test_the_child_sees_only_python_the_systems_libraries_and_its_folder(folder: Path, secret: Path) -> None:
    (folder / "link").symlink_to(secret)
    outside = (
        f"open({str(secret)!r})",
        f"os.listdir({str(secret.parent)!r})",
        "open('link')",
        "open('/etc/passwd')",
        "os.listdir('/')",
        "os.listdir('/proc')",
        f"open('/proc/{os.getpid()}/cmdline')",
        f"open('/proc/{os.getpid()}/environ')",
        f"open({str(Path(__file__))!r})",
        f"os.execv({str(secret)!r}, ['secret'])",
    )
    inside = (
        "open('work.py')",
        "open('new', 'w').write('x')",
        "os.mkdir('folder')",
        "os.listdir('.')",
        "open('/proc/self/status')",
        "open(json.__file__)",
        "os.rename('new', 'folder/newer')",
    )
    outcomes, protections = tried(folder, *outside, *inside)
    if confined.landlock():
        assert outcomes == dict.fromkeys(outside, "refused") | dict.fromkeys(inside, "done")
    assert (SEES in protections) == bool(confined.landlock())


def test_nothing_outside_the_folder_is_written_moved_or_removed(folder: Path, secret: Path) -> None:
    path, beside = str(secret), str(secret.parent / "new")
    attempts = (
        f"open({path!r}, 'w')",
        f"open({path!r}, 'r+')",
        f"os.truncate({path!r}, 0)",
        f"os.remove({path!r})",
        f"open({beside!r}, 'w')",
        f"os.mkdir({beside!r})",
        f"os.mkfifo({beside!r})",
        f"os.symlink('x', {beside!r})",
        f"os.rename('work.py', {beside!r})",
        f"os.link('work.py', {beside!r})",
        f"os.rename({path!r}, 'mine')",
        f"os.link({path!r}, 'mine')",
        "open(sys.prefix + '/new', 'w')",
        "open('/usr/new', 'w')",
        "open('/proc/self/oom_score_adj', 'w')",
    )
    outcomes, _ = tried(folder, *attempts)
    if confined.landlock():
        # The kernel says of links across two sights that they would be across devices.
        assert set(outcomes.values()) <= {"refused", os.strerror(errno.EXDEV)}
        assert secret.read_text() == "secret"
        assert list(secret.parent.iterdir()) == [secret]


def test_modes_owners_times_and_attributes_of_the_users_files_cannot_be_changed(folder: Path, secret: Path) -> None:
    path = str(secret)
    before = secret.stat()
    attempts = (
        f"os.chmod({path!r}, 0o777)",
        f"os.chown({path!r}, 0, 0)",
        f"os.lchown({path!r}, 0, 0)",
        f"os.utime({path!r}, (1, 1))",
        f"os.setxattr({path!r}, 'user.a', b'b')",
        "os.chmod('work.py', 0o777)",
        "os.fchmod(os.open('work.py', os.O_RDONLY), 0o777)",
    )
    outcomes, protections = tried(folder, *attempts)
    assert ("no changes of modes and owners" in protections) == confined.filtering()
    if confined.filtering():
        assert outcomes == dict.fromkeys(attempts, "refused")
        after = secret.stat()
        assert (after.st_mode, after.st_mtime, after.st_ctime) == (before.st_mode, before.st_mtime, before.st_ctime)


def test_no_socket_of_any_kind_is_opened(folder: Path, secret: Path) -> None:
    kinds = ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK")
    attempts = tuple(f"socket.socket(socket.{kind}, socket.SOCK_DGRAM)" for kind in kinds)
    outcomes, protections = tried(folder, *attempts)
    assert ("no sockets" in protections) == confined.filtering()
    if confined.filtering():
        assert outcomes == dict.fromkeys(attempts, "refused")


def test_the_ways_around_the_filter_are_closed_too(folder: Path) -> None:
    child(
        folder,
        """
        import ctypes, json, os, platform
        call = ctypes.CDLL(None, use_errno=True).syscall
        numbers = [425]  # io_uring
        if platform.machine() == "x86_64":
            numbers.append(41 | 1 << 30)  # socket, as programs of 32-bit pointers number it
        said = []
        for number in numbers:
            call(number, 2, 1, 0)
            said.append(ctypes.get_errno())
        json.dump(said, open("said", "w"))
        """,
    )
    run("work", [], folder, Limits())
    if confined.filtering():
        assert set(json.loads((folder / "said").read_text())) == {errno.EPERM}


def test_no_other_process_gets_a_signal(folder: Path) -> None:
    outcomes, _ = tried(folder, f"os.kill({os.getpid()}, 0)")
    if sandbox.isolation() or confined.landlock() >= 6:
        assert set(outcomes.values()) <= {"refused", os.strerror(errno.ESRCH)}


def beats(folder: Path) -> str:
    """What the child writes again and again while it lives; waits for the first."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if (folder / "beat").exists() and (said := (folder / "beat").read_text()):
            return said
        time.sleep(0.05)
    raise AssertionError("the child did not start")


HEART = """
import os, time
for beat in range(1200):
    with open("beat.new", "w") as out:
        out.write(str(beat))
    os.replace("beat.new", "beat")
    time.sleep(0.05)
"""


def test_the_child_dies_with_a_parent_that_is_killed(folder: Path) -> None:
    child(folder, HEART)
    work = f"from conversion import sandbox as s; from pathlib import Path as P; f = P({str(folder)!r}); s.ROOT = f"
    work += "; s.run('work', [], f, s.Limits())"
    parent = subprocess.Popen([sys.executable, "-c", work], cwd=REPOSITORY)
    beats(folder)
    parent.kill()
    parent.wait()
    time.sleep(0.5)
    last = beats(folder)
    time.sleep(0.5)
    assert beats(folder) == last


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_conversion_that_is_told_to_end_leaves_neither_child_nor_folder(tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "model.onnx"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "convert.py", "model.pkl", "-o", str(output)],
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
        # A shell that starts this run in the background has it, and all below it, ignore the signal.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    while not working_in(temporary):
        assert parent.poll() is None
        time.sleep(0.02)
    parent.send_signal(number)
    assert parent.wait(10) in (128 + number, -number)
    assert list(temporary.iterdir()) == []
    assert working_in(temporary) == []
    assert not output.exists()


def working_in(folder: Path) -> list[str]:
    """The processes whose working directory is in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd").startswith(str(folder)):
                found.append(process.name)
    return found


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOMEM, "needs more than the 8192 MiB of memory it may use; --memory-limit allows more"),
        (errno.EFBIG, "wrote a file larger than the 2048 MiB that a model may have"),
        (errno.ENOSPC, "found no space left on the device that holds the temporary folder; TMPDIR names another"),
        (errno.EDQUOT, "found no space left on the device that holds the temporary folder; TMPDIR names another"),
        (errno.EAGAIN, "started more than 256 processes"),
    ],
)
def test_every_limit_that_was_hit_is_named(folder: Path, number: int, said: str) -> None:
    child(folder, f"raise OSError({number}, 'hit')")
    with pytest.raises(Refused) as refused:
        run("work", [], folder, Limits())
    assert str(refused.value) == f"the conversion's child process {said}; nothing was written"


def test_processor_time_that_is_used_up_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(folder, "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass")
    with pytest.raises(Refused, match="died of SIGKILL"):
        run("work", [], folder, Limits(seconds=30))
    used = iter([10.0, 40.0])
    monkeypatch.setattr(sandbox, "_processor_seconds", lambda: next(used))
    with pytest.raises(Refused, match="used up its 30 s of processor time; --time-limit allows more"):
        run("work", [], folder, Limits(seconds=30))


@pytest.mark.parametrize("mebibytes", [100, 300, 400, 600])
def test_too_little_memory_to_start_is_named_too(mebibytes: int, tmp_path: Path) -> None:
    order = Order(REPOSITORY / "model.pkl", tmp_path / "model.onnx", limits=Limits(memory_bytes=mebibytes << 20))
    with pytest.raises(Refused, match=f"more than the {mebibytes} MiB of memory it may use; --memory-limit allows more"):
        convert(order)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kibibytes", "said"),
    [(500, "no space left on the device that holds the temporary folder"), (200, "No space left on device")],
)
def test_a_disk_that_is_full_is_named(tmp_path: Path, kibibytes: int, said: str) -> None:
    """The shipped pickle and its model have some 300 KiB each."""
    disk = tmp_path / "disk"
    disk.mkdir()
    own = "unshare --user --map-root-user --mount sh -c".split()
    mount = f"mount -t tmpfs -o size={kibibytes}k tmpfs {disk}"
    if subprocess.run([*own, mount], capture_output=True, check=False).returncode != 0:
        return  # where no user may mount, only the mapping above can be shown
    command = f"{mount} && exec {sys.executable} convert.py model.pkl -o {tmp_path}/model.onnx"
    environment = os.environ | {"TMPDIR": str(disk)}
    done = subprocess.run([*own, command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if kibibytes == 500 else 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [disk]


def test_a_source_that_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(Unreadable, match="is no regular file"):
            convert(Order(source, tmp_path / "model.onnx"))
    with (tmp_path / "large").open("wb") as sparse:
        sparse.truncate(2 << 30)
    with pytest.raises(Unreadable, match=r"has 2,147,483,648 bytes, more than the 1024 MiB .* --memory-limit allows more"):
        convert(Order(tmp_path / "large", tmp_path / "model.onnx", limits=Limits(memory_bytes=1 << 30)))


def test_more_processes_than_allowed_are_not_started_and_named() -> None:
    """As somebody who is not root, whose processes the kernel does not count; with a Python that he may run."""
    system = "/usr/bin/python3"
    root, python = os.geteuid() == 0, system if os.path.exists(system) else sys.executable
    with tempfile.TemporaryDirectory() as name:
        child(
            Path(name),
            "import os, time\nfor _ in range(40):\n    if not os.fork():\n        time.sleep(20)\n        os._exit(0)",
        )
        os.chmod(name, 0o755)
        work = f"""
            import os, sys
            from pathlib import Path
            from conversion import sandbox
            from conversion.errors import Refused
            if {root}:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                sys.executable = {python!r}
            sandbox.ROOT = Path({name!r})
            print(bool(sandbox.isolation()))
            try:
                sandbox.run("work", [], sandbox.ROOT, sandbox.Limits(processes=20))
            except Refused as refused:
                print(refused)
        """
        command = [sys.executable, "-c", textwrap.dedent(work)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    # Without a namespace of its own the child would be counted with all else of the same user, and is not limited.
    limited = "True\nthe conversion's child process started more than 20 processes; nothing was written\n"
    assert done.stdout in (limited, "False\n"), done.stderr
