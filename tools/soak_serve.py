#!/usr/bin/env python3
"""Draws thousands of small jobs with a running server and watches what it keeps: ./ci.sh soak-serve [jobs].

    tools/soak_serve.py PROGRAM JOBS [serve's options...]

Prints memory and open descriptors every tenth of the way. Exits with 1 where a job fails, where memory grows by more
than 20 MB after the first tenth (the kept jobs are full by then), or where descriptors stay open.
"""
import concurrent.futures
import http.client
import json
import os
import re
import subprocess
import sys

CLIENTS = 4
MOST_GROWTH = 20e6


def start(program, options):
    command = [program, "serve", "--port", "0", "--log", "off", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return child, int(child.stdout.readline().rsplit(":", 1)[1])


def call(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    return reply.status, data


def draw(port, seed):
    request = {"prompts": ["an apple"], "seed": seed, "steps": 1, "width": 32, "height": 32}
    status, data = call(port, "POST", "/v1/jobs", {"request": request})
    if status != 201:
        return f"job {seed} was answered with {status}: {data[:200]}"
    job = json.loads(data)["id"]
    _, events = call(port, "GET", f"/v1/jobs/{job}/events")
    if b"event: done" not in events:
        return f"job {seed} did not end well: {events[-200:]}"
    status, png = call(port, "GET", f"/v1/jobs/{job}/pictures/0")
    if status != 200 or not png.startswith(b"\x89PNG"):
        return f"job {seed} has no picture"
    status, _ = call(port, "DELETE", f"/v1/jobs/{job}")
    return None if status == 204 else f"job {seed} was not forgotten: {status}"


def memory(port):
    _, text = call(port, "GET", "/metrics")
    return float(re.search(r"^sumi_resident_memory_bytes (.*)$", text.decode(), re.M).group(1))


def main():
    program, jobs, options = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    child, port = start(program, options)
    faults, kept = [], []
    try:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for tenth in range(10):
                seeds = range(tenth * jobs // 10, (tenth + 1) * jobs // 10)
                faults += [fault for fault in pool.map(lambda seed: draw(port, seed), seeds) if fault]
                kept.append((memory(port), len(os.listdir(f"/proc/{child.pid}/fd"))))
                bytes_now, open_now = kept[-1]
                print(f"{seeds.stop:7} jobs: {bytes_now / 1e6:8.1f} MB, {open_now} descriptors, {len(faults)} faults",
                      flush=True)
    finally:
        child.terminate()
        child.wait()
    for fault in faults[:10]:
        print(fault)
    growth, opened = kept[-1][0] - kept[0][0], kept[-1][1] - kept[0][1]
    print(f"after the first tenth: {growth / 1e6:+.1f} MB, {opened:+} descriptors")
    return 1 if faults or growth > MOST_GROWTH or opened > CLIENTS else 0


if __name__ == "__main__":
    sys.exit(main())
