#!/bin/sh
# The command `orpose` from the copied sources; torchrun finds the same with `-m orpose`.
exec python -m orpose "$@"
