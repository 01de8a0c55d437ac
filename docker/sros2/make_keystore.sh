#!/usr/bin/env bash
# Makes the keys and signed permissions of policies.xml, with ROS 2's own `ros2 security`:
#   docker/sros2/make_keystore.sh KEYSTORE
# ROS_DOMAIN_ID is signed into the permissions: set it as the nodes have it. An existing keystore is kept, its permissions
# are signed anew. Keep KEYSTORE/private (the authority's key) off the computers that run the nodes.
set -euo pipefail

policies="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/policies.xml"
if [ "$#" -ne 1 ]; then
    echo "make_keystore.sh: got $# arguments, expected one: the folder of the keystore" >&2
    exit 2
fi
if ! command -v ros2 > /dev/null; then
    echo "make_keystore.sh: no ros2 command: source /opt/ros/.../setup.bash, and install ros-...-sros2" >&2
    exit 2
fi

umask 077
ros2 security generate_artifacts --keystore-root-path "$1" --policy-files "$policies"
keystore="$(cd "$1" && pwd)"
cat <<END
For each process, with its enclave (/orpose/node, /orpose/health, /orpose/camera, /orpose/viewer, /orpose/rep155):
  export ROS_SECURITY_KEYSTORE=$keystore
  export ROS_SECURITY_ENABLE=true ROS_SECURITY_STRATEGY=Enforce ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-0}
  export ROS_SECURITY_ENCLAVE_OVERRIDE=/orpose/node
END
