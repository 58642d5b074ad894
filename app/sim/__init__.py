"""A simulated MetaTrader 5 terminal with its broker and market, speaking the terminal's wire over real ZeroMQ.

It is what a newcomer trades on and the oracle in which tests count fills, so it shares nothing with the
executor but the protocol, the settings and the domain's words.
"""
