"""Put a working Pulumi engine within reach of a virtual environment.

In this order, and no further than needed: the `pulumi` on PATH, the engine that an earlier run left in this
machine's cache, the vendor's installer, a build from the Go modules pinned beside this file. What is not on PATH
is linked into the virtual environment's `bin`, so that nothing else needs to know of the cache.

Usage: engine.py BIN_DIRECTORY
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLER = "https://get.pulumi.com/install.sh"
OLDEST = (3, 200)
PROGRESS_SECONDS = 10.0
INSTALLER_SECONDS = 900.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# The engine, its Python language host, and the two scripts that run programs and dynamic providers. All four or
# none: some distributions package the engine alone, which then fails in the middle of a deployment.
FILES = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-python",
)

ENGINE_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
# From the last SDK release that carries the language host: as a module of its own, as later releases have it, Go's
# module proxy does not serve it. It works with the newer engine.
HOST_PACKAGE = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
# The vendor's own tags; `version.Version` is what `pulumi version` reports and what version checks read.
BUILD_FLAGS = (
    "-mod=readonly",
    "-trimpath",
    "-tags=osusergo grpcnotrace",
    "-ldflags=-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
)


class UnavailableError(Exception):
    """One way to an engine is closed; the text says why, in one line."""


def say(text: str) -> None:
    """Print a line at once: whoever waits for a build may read it through a pipe."""
    print(f"engine: {text}", flush=True)


def elapsed(since: float) -> str:
    """Minutes and seconds since `since`, a reading of `time.monotonic()`."""
    minutes, seconds = divmod(int(time.monotonic() - since), 60)
    return f"{minutes}:{seconds:02d}"


def pinned(pattern: str, module: Path) -> str:
    """What the first group of `pattern` matches in the module's go.mod."""
    match = re.search(pattern, (module / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise SystemExit(f"engine: {module / 'go.mod'} has no line like {pattern}")
    return match.group(1)


def pinned_version() -> str:
    """The engine's version as pinned, such as v3.259.0."""
    return pinned(r"^\s*(?:require )?github\.com/pulumi/pulumi/pkg/v3 (v\S+)", HERE / "pulumi")


def oldest_go() -> tuple[int, ...]:
    """The oldest Go that builds both modules."""
    return max(numbers(pinned(r"^go (\S+)", HERE / name)) for name in ("pulumi", "language-python"))


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `go1.25.11` and `v1.25.11-dev` are (1, 25, 11)."""
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def cache_root(environ: Mapping[str, str]) -> Path:
    """Where engines are kept, by the XDG base directory specification (which ignores a relative path)."""
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "pal-components" / "engine"


def cache_key() -> str:
    """Name an engine by all that decides what it is: pins, build flags, operating system, processor."""
    digest = hashlib.sha256("\0".join(BUILD_FLAGS).encode())
    for name in ("pulumi", "language-python"):
        for file in ("go.mod", "go.sum"):
            digest.update((HERE / name / file).read_bytes())
    return f"{pinned_version()}-{sys.platform}-{platform.machine()}-{digest.hexdigest()[:12]}"


def report_version(executable: Path | str) -> str:
    """What `pulumi version` prints; UnavailableError where it does not run or prints something else."""
    try:
        answer = subprocess.run(
            [executable, "version"],
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{executable} does not run: {error}") from error
    version = answer.stdout.strip()
    if answer.returncode != 0 or not numbers(version):
        reason = last_line(*answer.stderr.splitlines()) or f"exit code {answer.returncode}"
        raise UnavailableError(f"{executable} does not run: {reason}")
    return version


def last_line(*lines: str) -> str:
    """The last of the lines that says anything, or nothing."""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def dotted(version: tuple[int, ...]) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))


def on_path(path: str) -> str:
    """Describe the engine that a search of `path` finds; UnavailableError says what it lacks."""
    executable = shutil.which("pulumi", path=path)
    if executable is None:
        raise UnavailableError("no pulumi")
    version = report_version(executable)
    if numbers(version) < OLDEST:
        raise UnavailableError(f"{executable} is {version}, older than {dotted(OLDEST)}")
    # The engine also looks beside its own executable, which may be a link.
    reach = os.pathsep.join((path, str(Path(executable).resolve().parent)))
    missing = [name for name in FILES if shutil.which(name, path=reach) is None]
    if missing:
        raise UnavailableError(f"{executable} comes without {', '.join(missing)}")
    return f"Pulumi {version} on PATH, {executable}"


def path_without(directory: Path, path: str) -> str:
    """`path` without `directory`: our own links are not an engine that the machine has."""
    ours = directory.resolve()
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if entry and Path(entry).resolve() != ours)


def is_complete(directory: Path) -> bool:
    """Whether `directory` holds every file of an engine."""
    return all(os.access(directory / name, os.X_OK) for name in FILES)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold signals back that would end this process: in the middle of starting a child they would orphan it."""
    held: list[int] = []
    before = {number: signal.signal(number, lambda caught, _: held.append(caught)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def run(
    command: list[str],
    describe: Callable[[list[str]], str],
    *,
    since: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    limit: float | None = None,
) -> list[str]:
    """Run `command`, saying every PROGRESS_SECONDS what `describe` makes of its output so far.

    Returns its lines. Raises UnavailableError when it fails or takes more than `limit` seconds.
    """
    lines: list[str] = []

    def collect(output: Iterable[str]) -> None:
        for line in output:
            lines.append(line.rstrip())

    started = time.monotonic()
    child = None
    reader = None
    try:
        with undisturbed():
            try:
                # In a session of its own, so that all of an interrupted or overdue build can be ended at once.
                child = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            except OSError as error:
                raise UnavailableError(f"{command[0]} does not run: {error.strerror}") from error
            reader = threading.Thread(target=collect, args=(child.stdout,))
            reader.start()
        while True:
            try:
                code = child.wait(PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if limit is not None and time.monotonic() - started > limit:
                    raise UnavailableError(f"{command[0]} took more than {limit:.0f} seconds") from None
                say(f"{elapsed(since)}  {describe(lines)}")
    finally:
        if child is not None and reader is not None and child.stdout is not None:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait()
            reader.join()
            child.stdout.close()
    if code != 0:
        for line in lines[-20:]:
            print(f"    {line}", flush=True)
        raise UnavailableError(f"{Path(command[0]).name} failed with exit code {code}: {last_line(*lines)}")
    return lines


def download(into: Path) -> None:
    """Have the vendor's installer put the pinned version into `into`/bin."""
    curl = shutil.which("curl")
    if curl is None:
        raise UnavailableError("curl is not installed")
    version = pinned_version()
    script = into / "install.sh"
    fetched = subprocess.run(
        [curl, "-fsSL", "--connect-timeout", "5", "--max-time", "30", "-o", str(script), INSTALLER],
        capture_output=True,
        text=True,
    )
    if fetched.returncode != 0:
        raise UnavailableError(
            last_line(*fetched.stderr.splitlines()) or f"curl failed with exit code {fetched.returncode}"
        )
    run(
        [
            "/bin/sh",
            str(script),
            "--no-edit-path",
            "--install-root",
            str(into),
            "--version",
            version.removeprefix("v"),
        ],
        lambda _: f"downloading Pulumi {version}",
        since=time.monotonic(),
        limit=INSTALLER_SECONDS,
    )
    script.unlink()
    if not is_complete(into / "bin"):
        raise UnavailableError("the installer left no complete engine")


def find_go(environ: Mapping[str, str]) -> str:
    """The `go` that builds the engine; UnavailableError where there is none or only an older one."""
    needed = f"Go {dotted(oldest_go())} or newer is needed"
    go = shutil.which("go")
    if go is None:
        raise UnavailableError(f"Go is not installed; {needed}")
    # Asked inside the module, a Go that may fetch newer toolchains does so and answers for the one it will build
    # with. One that may not fails, and so can one from before Go knew of toolchains.
    try:
        version = last_line(
            *run(
                [go, "env", "GOVERSION"],
                lambda _: "fetching a newer Go toolchain",
                since=time.monotonic(),
                cwd=HERE / "pulumi",
                env=environ,
            )
        )
    except UnavailableError as reason:
        raise UnavailableError(f"{needed}, and {reason}") from reason
    if numbers(version) < oldest_go():
        raise UnavailableError(f"{needed}, and {go} is {version}")
    return go


def downloaded(module: str, lines: list[str]) -> str:
    """Progress of `go list`, which fetches the modules it lists."""
    return f"{module}: {sum(line.startswith('go: downloading') for line in lines)} Go modules downloaded"


def compiled(module: str, packages: set[str], lines: list[str]) -> str:
    """Progress of `go build -v`, which names each package that it has to compile."""
    return f"{module}: {len(packages.intersection(lines))} of {len(packages)} packages compiled"


def build(into: Path) -> None:
    """Build the pinned engine and language host into `into`/bin."""
    # GOWORK: a workspace around the checkout would replace the pins.
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    go = find_go(environ)
    version = pinned_version()
    since = time.monotonic()
    say(
        f"building Pulumi {version} from source, once for this machine: six minutes on two cores and "
        "4 GB of Go's caches, if Go has built none of it before"
    )
    target = into / "bin"
    target.mkdir()
    for name, package in (("pulumi", ENGINE_PACKAGE), ("language-python", HOST_PACKAGE)):
        module = HERE / name
        flags = [flag.format(version=version) for flag in BUILD_FLAGS]
        listed = run(
            [go, "list", *flags, "-deps", package],
            partial(downloaded, name),
            since=since,
            cwd=module,
            env=environ,
        )
        packages = {line for line in listed if " " not in line}
        run(
            [go, "build", *flags, "-v", "-o", str(target / package.rpartition("/")[2]), package],
            partial(compiled, name, packages),
            since=since,
            cwd=module,
            env=environ,
        )
    sdk = run(
        [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK_MODULE],
        lambda _: "looking up the SDK",
        since=since,
        cwd=HERE / "pulumi",
        env=environ,
    )
    for source in ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python"):
        copy = target / Path(source).name
        shutil.copyfile(Path(sdk[-1]) / source, copy)
        copy.chmod(0o755)
    say(f"{elapsed(since)}  built")


@contextlib.contextmanager
def sole_builder(root: Path) -> Iterator[None]:
    """Hold the cache's lock. The kernel lets go of it with the process, so a killed build blocks nobody."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as handle:
        since = time.monotonic()
        told = since - PROGRESS_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - told >= PROGRESS_SECONDS:
                    told = time.monotonic()
                    say(f"{elapsed(since)}  waiting for another run that is getting the engine")
                time.sleep(0.2)
        yield


def obtain(root: Path) -> Path:
    """Download or build the pinned engine into the cache, unless another run just did; return its place."""
    entry = root / cache_key()
    with sole_builder(root):
        if is_complete(entry / "bin"):
            return entry / "bin"
        # Under the lock these can only be what killed runs left.
        for left in (*root.glob(".new-*"), entry):
            shutil.rmtree(left, ignore_errors=True)
        for way, get in (("the official installer", download), ("a build from source", build)):
            with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as scratch:
                new = Path(scratch) / "engine"
                new.mkdir()
                try:
                    get(new)
                    report_version(new / "bin" / "pulumi")
                except UnavailableError as reason:
                    say(f"{way} did not work: {reason}")
                    continue
                new.rename(entry)
                return entry / "bin"
    raise UnavailableError(
        f"no Pulumi engine here and no way to get one. Install Pulumi {dotted(OLDEST)} or newer "
        f"(https://www.pulumi.com/docs/install/), or Go {dotted(oldest_go())} or newer "
        "(https://go.dev/doc/install), then run the same command again"
    )


def link(engine: Path, directory: Path) -> None:
    """Link the engine's files into `directory`, over whatever an earlier run linked there.

    An engine from the installer brings files for other languages, which stay out.
    """
    for file in sorted(engine.iterdir()):
        if file.name in FILES or file.name.endswith("-python"):
            fresh = directory / f".{file.name}.new"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(file)
            fresh.replace(directory / file.name)


def unlink(directory: Path, root: Path) -> None:
    """Take links into the cache at `root` out of `directory`: they would hide the machine's own engine."""
    for file in directory.glob("pulumi*"):
        if file.is_symlink() and root in file.readlink().parents:
            file.unlink()


def main(arguments: list[str]) -> int:
    """Make an engine available to whoever has the given directory on PATH; 0 when there is one."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        say("give it the directory for the links, a virtual environment's bin: run 'make engine'")
        return 2
    directory = Path(arguments[0])
    root = cache_root(os.environ)
    engine = root / cache_key() / "bin"
    try:
        say(on_path(path_without(directory, os.environ.get("PATH", os.defpath))))
        unlink(directory, root)
        return 0
    except UnavailableError as reason:
        if not is_complete(engine):
            say(f"nothing to use on PATH: {reason}")
    try:
        if not is_complete(engine):
            engine = obtain(root)
        link(engine, directory)
    except UnavailableError as reason:
        say(str(reason))
        return 1
    except OSError as error:
        say(f"{error.strerror}: {error.filename}")
        return 1
    say(f"Pulumi {pinned_version()} in {engine}, linked into {directory}")
    return 0


if __name__ == "__main__":
    # An ended run takes its build and its scratch directory with it: SystemExit unwinds where the default would not.
    for ending in ENDING:
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
