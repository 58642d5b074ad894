"""Stand-ins for what lies behind the ports, scripted by the test that owns them."""
