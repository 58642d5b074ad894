"""The rules of trading through Medulla: pure values and functions.

Nothing here may touch a clock, a thread, a random source, a file, a socket or asyncio.
"""
