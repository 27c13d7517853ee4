"""`python -m boomerang` is the command line."""

from boomerang.cli.main import main

if __name__ == "__main__":
    main()
