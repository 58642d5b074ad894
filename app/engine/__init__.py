"""The executor at work: asyncio, ports and rules. Knows no adapter, no wire format and no Qt."""
