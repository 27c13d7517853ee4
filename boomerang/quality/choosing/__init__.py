"""What is chosen on calibration text: in which order to patch, and which layers to keep."""
