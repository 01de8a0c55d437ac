#!/usr/bin/env bash
# Runs a command with ROS 2 and orpose sourced. (ROS' own scripts do not bear `set -u`.)
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /opt/orpose/local_setup.bash
# Humble keeps to this computer with a UDP transport of its own; fastdds.xml's, for every network, would undo that.
if [[ "${ROS_DISTRO}" == humble && "${ROS_LOCALHOST_ONLY:-}" == 1 ]]; then
    export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE/%\/fastdds.xml//fastdds_localhost.xml}"
fi
exec "$@"
