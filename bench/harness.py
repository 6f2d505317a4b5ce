"""What the benchmarks share: the sides that are compared, interleaved runs, and tables.

A side is one way to run a guest: the bare program, Lodge, or QEMU.  The sides of a benchmark take
turns, one run each, so that whatever else the machine does falls on all of them alike; the order
within a turn is drawn anew each time (from a fixed seed), because a run leaves warm or cold caches
to the next.  What is reported is the median.  One turn before the first is not counted.
"""

import argparse
import collections
import os
import platform
import random
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OUT = os.path.join(ROOT, "build", "bench")
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
QEMU_MACHINE = ["-m", "256", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]

# first, end: ns from process start to the first byte printed and to the end; cpu: ns of all threads
Sample = collections.namedtuple("Sample", "first end cpu")


class Failed(Exception):
    """A run that did not do what the benchmark is about."""


def options(doc):
    p = argparse.ArgumentParser(description=doc.strip().splitlines()[0])
    p.add_argument("--lodge", default=os.environ.get("LODGE", os.path.join(ROOT, "build", "lodge")),
                   help="the binary to measure (default: $LODGE or build/lodge)")
    p.add_argument("--rounds", type=int, default=40, help="turns at most (default: 40)")
    p.add_argument("--seconds", type=float, default=50, help="time at most (default: 50)")
    p.add_argument("--readme", action="store_true", help="also put the table into bench/README.md")
    return p.parse_args()


def build():
    subprocess.run(["make", "-s", "-C", HERE, f"O={OUT}"], check=True)


def out(name):
    return os.path.join(OUT, name)


def popen(argv, **kwargs):
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, **kwargs)


def kill(process):
    """Ends a process that popen started, with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def measure(argv, prints=True, timeout=30):
    """One run of argv, which must end with code 1 after printing nothing or an x."""
    p = popen([out("measure")] + argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        text, errors = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill(p)
        raise Failed(f"{shlex.join(argv)}: not done after {timeout} s") from None
    try:
        first, end, cpu, code, byte = map(int, text.split())
    except ValueError:
        raise Failed(f"{shlex.join(argv)}: {errors.strip()}") from None
    if code != 1 or byte != (ord("x") if prints else -1):
        raise Failed(f"{shlex.join(argv)}: ended with code {code}, first byte {byte}; "
                     f"it said: {errors.strip()}")
    return Sample(first, end, cpu)


def bare(guest, irqchip=False, cpuid=False):
    return ([out("bare")] + (["-i"] if irqchip else []) + (["-c"] if cpuid else [])
            + [out(guest + ".bin")])


def lodge(binary, guest, *extra, accel="kvm"):
    return [binary, "run", "--accel", accel, "--memory", "256M", *extra,
            "--raw", out(guest + ".bin")]


def qemu(accel, guest):
    return [QEMU, *accel, *QEMU_MACHINE, "-bios", out(guest + ".rom")]


def qemu_accel():
    """(name, options) of the fastest accelerator with which QEMU runs a guest here, or None."""
    if not shutil.which(QEMU):
        return None
    for name, accel in (("KVM", ["-M", "microvm,accel=kvm", "-cpu", "host"]),
                        ("KVM, -cpu qemu64", ["-M", "microvm,accel=kvm", "-cpu", "qemu64"]),
                        ("TCG", ["-M", "microvm,accel=tcg"])):
        try:
            measure(qemu(accel, "start"), timeout=10)
            return f"QEMU microvm ({name})", accel
        except Failed:
            continue
    return None


def take_turns(turn, rounds, seconds):
    """turn: name -> function that makes one run.  Returns name -> list of what they returned."""
    got = {name: [] for name in turn}
    for run in turn.values():
        run()
    end = time.monotonic() + seconds
    order, draw = list(turn), random.Random(1)
    for n in range(rounds):
        if n >= 3 and time.monotonic() > end:
            break
        draw.shuffle(order)
        for name in order:
            got[name].append(turn[name]())
    return got


def median(values):
    return statistics.median(values)


def spread(values, scale=1.0, digits=2):
    """Median and the quartiles, as text."""
    if len(values) < 2:
        return f"{values[0] / scale:.{digits}f}"
    low, mid, high = (q / scale for q in statistics.quantiles(values, n=4, method="inclusive"))
    return f"{mid:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def goal(ratio, limit):
    return f"{ratio:.2f} (goal ≤ {limit}: {'met' if ratio <= limit else 'missed'})"


def usable(binary):
    """Whether there is a Lodge to measure; says so when there is none."""
    if os.access(binary, os.X_OK):
        return True
    print(f"note: no {os.path.relpath(binary)} here, so Lodge is not in this table",
          file=sys.stderr)
    return False


def machine():
    cpu = "unknown CPU"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    modules = [m for m in ("kvm_intel", "kvm_amd", "kvm_pvm") if os.path.exists(f"/sys/module/{m}")]
    return (f"{os.cpu_count()} CPUs ({cpu}), Linux {platform.release().split('-')[0]}, "
            f"{modules[0] if modules else 'KVM built in'}, load {os.getloadavg()[0]:.1f}")


def report(section, rows, notes, write):
    """Prints the table; with write, it replaces the section of that name in the README."""
    said = sys.argv[1:]
    named = [i + 1 for i, a in enumerate(said) if a == "--lodge"]
    shown = [a for i, a in enumerate(said)
             if i not in named and a != "--readme" and not a.startswith("--lodge")]
    command = " ".join([f"bench/{section}"] + shown)
    lines = [f"Made by `{command}` on {time.strftime('%Y-%m-%d')}: {machine()}.", ""]
    lines += ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(row) + " |" for row in rows[1:]]
    lines += [""] + notes if notes else []
    text = "\n".join(lines)
    print(text)
    if not write:
        return
    path = os.path.join(HERE, "README.md")
    begin, end = f"<!-- {section} -->\n", f"\n<!-- end of {section} -->"
    with open(path, encoding="utf-8") as f:
        old = f.read()
    head, _, rest = old.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        sys.exit(f"bench/{section}: README.md has no section for this table")
    with open(path, "w", encoding="utf-8") as f:
        f.write(head + begin + text + end + tail)
