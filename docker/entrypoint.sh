#!/usr/bin/env bash
# Runs a command with ROS 2 and orpose sourced. (ROS' own scripts do not bear `set -u`.)
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /opt/orpose/local_setup.bash
exec "$@"
