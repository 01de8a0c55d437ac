"""Units: metres and seconds inside, but for what messages, label files and the papers' metrics count otherwise."""

MILLIMETRES_PER_METRE = 1000.0
NANOSECONDS_PER_SECOND = 1_000_000_000
