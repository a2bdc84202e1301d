"""A scenario written for others to read: our own file, ScenarioNet, OpenSCENARIO with OpenDRIVE."""
