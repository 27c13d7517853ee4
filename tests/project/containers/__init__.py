"""What images, compose and Kubernetes run, as far as it can be run without any of them."""
