#!/bin/sh
# Stands for a service: says who it is, and waits to be stopped.
echo "$SERVICE $(cat version) is running"
exec sleep 1000000
