"""The machine under the measurement: what it is, and what else it is doing."""

import os
import platform
import time

MIB = 1 << 20
GIB = 1 << 30
HERTZ = os.sysconf("SC_CLK_TCK")


def processors():
    """Processors this process may use."""
    return len(os.sched_getaffinity(0))


def processors_busy():
    """Seconds that all processors together did not idle since the start of the machine, with
    those the host took away from a virtual one."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, interrupts, soft, stolen = map(int, stat.readline().split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / HERTZ


def busy(seconds):
    """Part of all processors, 0 to 1, that is in use now, while this process sleeps."""
    before = processors_busy()
    time.sleep(seconds)
    return (processors_busy() - before) / (seconds * os.cpu_count())


def await_quiet(say, limit=0.1, patience=30):
    """Waits for the machine to become quiet, not for ever; returns the part still in use."""
    end = time.monotonic() + patience
    used = busy(1)
    while used > limit and time.monotonic() < end:
        say(f"the machine is busy ({used:.0%}), waiting")
        used = busy(3)
    return used


def first_value(path, key):
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return None


def memory_available():
    return int(first_value("/proc/meminfo", "MemAvailable").split()[0]) * 1024


def file_system(folder):
    """Type of the file system a folder is on, as the kernel names it."""
    folder = os.path.realpath(folder)
    best, kind = "", "unknown"
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, point, name, *_ = line.split(" ")
            point = point.replace("\\040", " ")
            if (folder + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
                best, kind = point, name
    return kind


def room(folder):
    """Bytes that files in a folder can still take: on tmpfs they are memory."""
    free = os.statvfs(folder)
    free = free.f_bavail * free.f_frsize
    return min(free, memory_available()) if file_system(folder) == "tmpfs" else free


def facts(folder):
    """What a reader of the figures must know of the machine."""
    return {
        "processor": first_value("/proc/cpuinfo", "model name") or platform.machine(),
        "processors": processors(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "virtual": "hypervisor" in (first_value("/proc/cpuinfo", "flags") or "").split(),
        "kernel": platform.release(),
        "file_system": file_system(folder),
        "load": [round(load, 2) for load in os.getloadavg()],
    }
