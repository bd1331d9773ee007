"""Keep freed memory in the process: training gives back and asks for the same megabytes at every step."""

import ctypes
import functools
import platform

# Numbers of mallopt(3): what to set, and to how many bytes. Setting one stops glibc from adapting the other.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = (-1, 2**31 - 1), (-3, 2**25)


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc's allocator not to hand freed memory back to the system; True if it listens.

    By default every step's activations go back and come again as hundreds of page faults a step. The process then
    stays as large as it has been at its largest. Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(*setting) for setting in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
