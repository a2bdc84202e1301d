"""Planners outside this process: typed arrays on the wire, never pickles."""
