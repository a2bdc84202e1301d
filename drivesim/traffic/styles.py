"""How each driver drives."""

from __future__ import annotations

from torch import Tensor

from drivesim.struct import Struct, tensor


class Styles(Struct):
    """Parameters of the Intelligent Driver Model and of speeds, one per agent."""

    acceleration: Tensor = tensor()  # (..., A) [m/s^2]
    braking: Tensor = tensor()  # (..., A) comfortable [m/s^2]
    headway: Tensor = tensor()  # (..., A) [s]
    gap: Tensor = tensor()  # (..., A) at standstill [m]
    pace: Tensor = tensor()  # (..., A) factor on the desired speed
    lateral: Tensor = tensor()  # (..., A) acceleration liked in bends [m/s^2]
