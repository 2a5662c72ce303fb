#!/bin/sh
# Builds, and can't run.
echo "a setting is missing" >&2
exit 1
