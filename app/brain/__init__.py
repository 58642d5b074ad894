"""The reference web brain: a real server of the brain protocol, to trade against and to test with.

It shares nothing with the executor but the wire, so that a misunderstanding of the protocol cannot hide on both sides.
"""
