#!/bin/sh
exec /usr/bin/python3 -c 'import sys; from agent.cli.main import main; sys.exit(main())' "$@"
