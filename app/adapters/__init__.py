"""One thing of the outside world each, named for it. Errors of its library never cross its port."""
