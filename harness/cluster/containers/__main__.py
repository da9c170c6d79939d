"""Builds the image of all parts, or with ``--locust`` that of Locust with the scenarios, and prints its name."""

import sys

from harness.cluster.containers.engine import connect_engine
from harness.cluster.containers.image import LOCUST, PARTS, image
from harness.common.terminal import show

if __name__ == "__main__":
    show(image(connect_engine(), LOCUST if "--locust" in sys.argv[1:] else PARTS))
