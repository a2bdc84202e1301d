"""What lidar tells of a place: the ground, painted lines, what stands beside the road. For logs without a map."""
