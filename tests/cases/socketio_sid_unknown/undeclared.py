"""The same without a word that says which reply means that a session is gone."""

from dataclasses import replace

from harness import keeps
from tests.cases.socketio_sid_unknown import scenario


class Talker(scenario.Talker):
    gone = None


SCENARIO = replace(scenario.SCENARIO.only(["sticky"]), expect=[keeps("sticky")])
