"""The providers, simulated on real sockets: as strict as their pages say, with faults on demand."""

from tests.simulators.apiframe import ApiframeSimulator, apiframe_simulator
from tests.simulators.base import Fault, Simulator
from tests.simulators.http import Received
from tests.simulators.max import MaxSimulator, max_simulator
from tests.simulators.modelverse import ModelVerseSimulator, modelverse_simulator
from tests.simulators.onemin import OneMinSimulator, onemin_simulator
from tests.simulators.openai import OpenAISimulator, openai_simulator

__all__ = [
    "ApiframeSimulator",
    "Fault",
    "MaxSimulator",
    "ModelVerseSimulator",
    "OneMinSimulator",
    "OpenAISimulator",
    "Received",
    "Simulator",
    "apiframe_simulator",
    "max_simulator",
    "modelverse_simulator",
    "onemin_simulator",
    "openai_simulator",
]
