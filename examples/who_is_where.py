"""For context-aware assistants: who is at the table, whose hands are over the sterile field, how many people there are.

    python3 examples/who_is_where.py --ros-args -r persons:=orpose/camera/persons -p table:='[150.0, 90.0, ...]'

Zones are polygons x, y, x, y, ... in px of the image, or with `-p in_room:=true -r persons:=orpose/room/persons` in
metres on the room's floor; without one, everywhere. Publishes JSON on who_is_where, and logs what changes.
"""

import contextlib
import json
import signal

import cv2
import numpy as np
import rclpy
from orpose_msgs.msg import Person, PersonArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

SCORE = 0.3  # of a joint that counts
HIPS, WRISTS = ((11, 12), (4, 1)), ((9, 10), (13, 16))  # in keypoints_2d (COCO-17), keypoints_3d_metric (Human3.6M-17)
EVERYWHERE = [-1e6, -1e6, 1e6, -1e6, 1e6, 1e6, -1e6, 1e6]


class WhoIsWhere(Node):
    def __init__(self, **options):
        super().__init__("who_is_where", **options)
        self.in_room = self.declare_parameter("in_room", False).value
        given = {name: self.declare_parameter(name, EVERYWHERE).value for name in ("table", "field")}
        self.zones = {name: np.float32(zone).reshape(-1, 2) for name, zone in given.items()}
        self.said = ""
        self.publisher = self.create_publisher(String, "who_is_where", 10)
        subscription = self.create_subscription(PersonArray, "persons", self.receive, 10)
        self.get_logger().info(f"waits for {subscription.topic_name}")

    def is_in(self, zone, person, joints):
        known = person.keypoints_3d_metric if self.in_room else person.keypoints_2d
        sure = [known[i] for i in joints[self.in_room] if known and known[i].score >= SCORE]
        points = [joint.position if self.in_room else joint for joint in sure]
        return any(cv2.pointPolygonTest(self.zones[zone], (point.x, point.y), False) >= 0 for point in points)

    def receive(self, message):
        people = [person for person in message.persons if person.track_state != Person.TRACK_LOST]
        at_table = [person.track_id for person in people if self.is_in("table", person, HIPS)]
        over_field = [person.track_id for person in people if self.is_in("field", person, WRISTS)]
        answer = json.dumps({"people": len(people), "at_table": at_table, "hands_over_field": over_field})
        self.publisher.publish(String(data=answer))
        if answer != self.said:
            self.get_logger().info(answer)
        self.said = answer


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # with ROS's own a signal may end as an RCLError
    with contextlib.suppress(KeyboardInterrupt):
        node = WhoIsWhere()
        while True:
            rclpy.spin_once(node, timeout_sec=0.1)
