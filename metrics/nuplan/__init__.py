"""nuPlan's closed-loop and open-loop scores (nuplan-devkit e924167), and the parts that no other score has."""
