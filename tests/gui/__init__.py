"""The desktop, driven as a trader drives it: real widgets off the screen, canned pictures or a real engine behind them."""
