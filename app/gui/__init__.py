"""The desktop process: what a trader looks at, and the button they trust. A client of the local API and nothing else: no engine,
no adapter, no rule about money lives here.
"""
