"""A seat on another machine, looked at over SSH as if we were on it."""
