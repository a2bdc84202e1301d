"""Sub-commands of `drivesim` that need room of their own: `add(commands)` says what each takes, `run` does it."""
