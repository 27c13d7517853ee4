"""A Hub for tests: what huggingface_hub and hf_xet ask, answered over a real socket.

It stands here and not in tests/hub, which mirrors boomerang/hub. It also runs alone:
`python -m tests.local_hub`.
"""
