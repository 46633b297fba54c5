"""Runs of programs that are compared with each other: each one's last line of JSON, and who else used the CPUs meanwhile."""
import json
import os
import resource
import subprocess
import sys
import time


def machine_seconds():
    """Busy seconds of all CPUs since the start, and seconds that a hypervisor took away."""
    values = [int(field) for field in open("/proc/stat").readline().split()[1:]]
    tick = os.sysconf("SC_CLK_TCK")
    return (values[0] + values[1] + values[2] + values[5] + values[6]) / tick, (values[7] if len(values) > 7 else 0) / tick


def run(command, environment=None):
    """The last line of the command's output as JSON, and the share of the CPUs that others used meanwhile."""
    before, own, start = machine_seconds(), resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    wall, used, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN), machine_seconds()
    if result.returncode != 0:
        sys.exit(f"{command[0]} exited {result.returncode}: {result.stderr.strip()[-2000:]}")
    spent = used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime
    others = max(0.0, after[0] - before[0] - spent) + after[1] - before[1]
    text = result.stdout.strip()
    found = json.loads(text if text.startswith("{\n") else text.splitlines()[-1])
    found["other_cpu"] = others / wall / os.cpu_count()
    return found


def status_bytes(key):
    """A field of this process's status, in bytes."""
    for line in open("/proc/self/status"):
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return 0
