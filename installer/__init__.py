"""The newcomer's set-up: from a bare Python to a running Medulla, with nothing but the standard library.

Nothing of `app` and nothing that pip installs may be imported here: this code runs before any of it exists.
"""
