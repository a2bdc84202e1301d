"""Drive, film and score planners in closed loop: configuration -> jobs -> sweep -> report.

python run_closed_loop.py --help
"""

import sys


def main() -> int:
    from drivesim import manual

    argv = sys.argv[1:]
    if manual.answers(argv):  # before anything heavy is imported
        return 0
    from drivesim import config, run

    return config.main(run.run, argv)


if __name__ == "__main__":
    sys.exit(main())
