"""Programs that measure the driver: its speed, its accuracy, its capacity. None of them is part of the product."""
