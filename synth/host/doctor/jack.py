"""One connection in a JACK graph, from our output to our input. Nothing else here speaks to JACK itself.

Threads: the main thread; blocks.
"""

from __future__ import annotations

import ctypes
import ctypes.util

_NO_START_SERVER = 0x01


def connect(source: str, destination: str) -> bool:
    """Connect two ports by their full names. False where there is no JACK, or it refuses."""
    name = ctypes.util.find_library("jack")
    if name is None:
        return False
    library = ctypes.CDLL(name)
    library.jack_client_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    library.jack_client_open.restype = ctypes.c_void_p
    library.jack_connect.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    library.jack_client_close.argtypes = [ctypes.c_void_p]
    status = ctypes.c_int()
    client = library.jack_client_open(b"wavekeys-doctor", _NO_START_SERVER, ctypes.byref(status))
    if not client:
        return False
    try:
        return library.jack_connect(client, source.encode(), destination.encode()) == 0
    finally:
        library.jack_client_close(client)
