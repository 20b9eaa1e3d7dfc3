"""Speed and memory of this package beside its peers, and the accuracy of its model; figures are printed, never asserted."""
