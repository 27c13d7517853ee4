"""A Hub for tests: what the real client calls, on a real socket, with repos in a folder.

`fixture.py` starts it; `app.py` has the routes, `repos.py` the repositories, `transfers.py` the
two ways in which large files arrive (LFS and xet), `faults.py` what goes wrong on purpose.
"""
