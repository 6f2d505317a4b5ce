"""Write initial RAM file systems: cpio archives in the "newc" format.

The archive is written by hand because device nodes belong into it (/dev/console, which the kernel
opens before anything can be mounted) and neither mknod nor cpio can make them without privilege.
Files that are dynamically linked programs bring their libraries along.

The archive depends on nothing but its content: owner, time stamps and inode numbers are made up, so
that the same content gives the same bytes.
"""

import os
import re
import stat
import subprocess


class Missing(Exception):
    """Something that belongs into the archive is not there; the text says what and why."""


class Archive:
    """A newc archive that is built in memory and written at once."""

    def __init__(self, folders=(), emulator=()):
        """For another architecture: the folders of its libraries, and what runs its programs."""
        self.entries = {}
        self.folders = list(folders)
        self.emulator = list(emulator)

    def _add(self, path, mode, data=b"", device=(0, 0)):
        path = os.path.normpath("/" + path).lstrip("/")
        if not path:
            return
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.directory(parent)
        self.entries[path] = (mode, data, device)

    def directory(self, path, mode=0o755):
        """Add a directory (and its parents)."""
        self._add(path, stat.S_IFDIR | mode)

    def device(self, path, kind, major, minor, mode=0o600):
        """Add a device node; kind is 'c' or 'b'."""
        self._add(path, (stat.S_IFCHR if kind == "c" else stat.S_IFBLK) | mode, b"", (major, minor))

    def symlink(self, path, target):
        """Add a symbolic link."""
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def data(self, path, data, mode=0o644):
        """Add a regular file with the given content."""
        self._add(path, stat.S_IFREG | mode, data)

    def file(self, source, path=None, mode=None):
        """Add a file of this machine, or a directory with all that is below it."""
        path = source if path is None else path
        try:
            if os.path.isdir(source):
                self.directory(path)
                for name in sorted(os.listdir(source)):
                    self.file(os.path.join(source, name), os.path.join(path, name))
                return
            with open(source, "rb") as file:
                data = file.read()
                found = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        except OSError as error:
            raise Missing(f"{error.filename}: {error.strerror}") from error
        self.data(path, data, found if mode is None else mode)
        if data[:4] == b"\x7fELF" and found & 0o111:
            for library, where in shared_objects(source, self.folders):
                if library.lstrip("/") not in self.entries:
                    self.file(where, library, 0o755)

    def busybox(self, program):
        """Add busybox and a link for each of its applets."""
        self.file(program, "/bin/busybox", 0o755)
        for applet in subprocess.run(
            [*self.emulator, program, "--list"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.split():
            if applet != "busybox" and f"bin/{applet}" not in self.entries:
                self.symlink(f"/bin/{applet}", "busybox")

    def skeleton(self):
        """Add what every guest needs before anything is mounted."""
        for path in ("/dev", "/proc", "/sys", "/run", "/tmp", "/root", "/etc"):
            self.directory(path)
        self.device("/dev/console", "c", 5, 1)
        self.device("/dev/null", "c", 1, 3, 0o666)

    def write(self, path):
        """Write the archive, atomically."""
        scratch = f"{path}.{os.getpid()}"
        with open(scratch, "wb") as file:
            for number, name in enumerate(sorted(self.entries), 1):
                mode, data, device = self.entries[name]
                file.write(_entry(name, number, mode, data, device))
            file.write(_entry("TRAILER!!!", 0, 0, b"", (0, 0)))
        os.replace(scratch, path)


def _entry(name, number, mode, data, device):
    """One archive member: 13 fields of eight hex digits, name, data, each part padded to four."""
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return _padded(head) + _padded(data)


def _padded(data):
    return data + b"\0" * (-len(data) % 4)


def shared_objects(program, folders=()):
    """The (name, file) pairs of the libraries and the loader that a dynamic program needs.

    With folders, the program is not one of this machine, and its libraries are sought there.
    """
    if folders:
        return _foreign_objects(program, folders)
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    found = _loaded_later(program)
    for line in done.stdout.splitlines():
        if "not found" in line:
            raise Missing(f"{program}: needs {line.split()[0]}, which this machine has not")
        match = re.match(r"\s*(?:\S+ => )?(/\S+) \(0x", line)
        if match:
            found.append((match[1], os.path.realpath(match[1])))
    return found


def _noted(program):
    """The libraries that a program opens by itself, which a note in it names.

    [UAPI group, ELF dlopen metadata: a JSON text in the section .note.dlopen]
    """
    with open(program, "rb") as file:
        return [name.decode() for name in re.findall(rb'"soname":\["([^"]+)"\]', file.read())]


def _loaded_later(program):
    """Those of them that this machine has, where the loader finds them."""
    wanted = _noted(program)
    if not wanted:
        return []
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False)
    places = dict(reversed(re.findall(r"^\s*(\S+) \(libc6,.*=> (/\S+)$", cache.stdout, re.M)))
    return [(places[name], os.path.realpath(places[name])) for name in wanted if name in places]


def _foreign_objects(program, folders):
    """The same for a program that cannot be asked, out of the dynamic sections."""
    found, rest = {}, [program]
    while rest:
        asker = rest.pop()
        text = subprocess.run(
            ["readelf", "--wide", "--dynamic", "--program-headers", asker],
            capture_output=True, text=True, check=False,
        ).stdout
        names = re.findall(r"\(NEEDED\).*\[(.*)\]", text) + _noted(asker)
        names += [
            os.path.basename(path) for path in re.findall(r"program interpreter: (.*)\]", text)
        ]
        for name in names:
            if name in found:
                continue
            places = (os.path.join(folder, name) for folder in folders)
            found[name] = next(filter(os.path.exists, places), None)
            if not found[name]:
                raise Missing(f"{asker}: needs {name}, which is in none of {', '.join(folders)}")
            rest.append(found[name])
    return [(f"/lib/{name}", os.path.realpath(where)) for name, where in found.items()]


def find_busybox():
    """The path of a statically linked busybox."""
    candidates = [os.environ.get("BUSYBOX"), "/usr/bin/busybox", "/bin/busybox"]
    for program in filter(None, candidates):
        if os.access(program, os.X_OK) and not shared_objects(program):
            return program
    raise Missing("busybox: no statically linked one is installed (Debian: busybox-static)")
