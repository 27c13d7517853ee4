"""What making one size costs, side by side with copying a file and with other tools."""
