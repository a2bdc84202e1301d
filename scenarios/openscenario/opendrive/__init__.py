"""OpenDRIVE 1.4 to 1.8: a road network from its file, as places, lanes and a Map."""

from .network import Network
from .reading import read_opendrive
from .roads import Road
from .signs import Sign

__all__ = ["Network", "Road", "Sign", "read_opendrive"]
