"""Programs that prove what the driver claims of itself: its speed, its clock, its size. None is part of the product."""
