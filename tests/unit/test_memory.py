"""The C allocator as the server tells it to be, seen in a process of its own."""

import subprocess
import sys

THREADS = """
import ctypes, re, sys, threading
from ivr import memory
if sys.argv[1] == "shared":
    memory.share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
meet = threading.Barrier(8)
def hold():
    meet.wait()
    for _ in range(100):
        libc.malloc(4_096)
    meet.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
libc.fopen.restype = ctypes.c_void_p
file = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, ctypes.c_void_p(file))
libc.fclose(ctypes.c_void_p(file))
print(len(re.findall("<heap nr", open(sys.argv[2]).read())))
memory.give_back()
"""


def _arenas(how: str, folder) -> int:
    ran = [sys.executable, "-c", THREADS, how, str(folder / "info.xml")]
    return int(subprocess.run(ran, capture_output=True, text=True, check=True, timeout=60).stdout)


def test_threads_share_a_few_arenas(tmp_path):
    assert _arenas("as they come", tmp_path) > 3
    assert _arenas("shared", tmp_path) <= 3
