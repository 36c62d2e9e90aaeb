"""Latency predicted from kernels: a model of one device, calibrated once, for any spec."""

from __future__ import annotations

from .devices import Calibrated
from .kernels import Kernel, kernels
from .members import members
from .model import Device, DeviceModel, Observed, Prediction

__all__ = ["Calibrated", "Device", "DeviceModel", "Kernel", "Observed", "Prediction", "kernels", "members"]
