"""Image to skeletons: the student network, its export, the runtime, tracking and evaluation. No ROS, no training."""
