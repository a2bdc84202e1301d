"""NAVSIM's scores of a plan: PDMS v1.1 (3e8291b) and EPDMS v2 (0a380a9). The arithmetic is `drivesim.proposals`."""
