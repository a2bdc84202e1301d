"""CONTROL: from wish to action."""
