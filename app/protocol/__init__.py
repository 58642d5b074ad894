"""Wire formats, sans-I/O: text or bytes and `now` go in, messages come out.

Nothing here may open a socket, read a clock or keep a task.
"""
