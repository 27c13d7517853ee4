"""Tasks of the evaluation harness, run for members that are put together by reference."""
