#!/bin/sh
# Installs the system libraries that Qt, OpenGL and Open3D need on Debian and its relatives, if any is missing.
# As root it calls apt-get, also for a C compiler (core/models/fast/peaks.c); otherwise it prints the one line to type. Other
# systems: nothing to do, or see below.
set -eu

[ "$(uname -s)" = Linux ] || exit 0

packages=""
library() { # library FILE PACKAGE
    ldconfig -p 2>/dev/null | grep -q "$1" || packages="$packages $2"
}
PATH="$PATH:/usr/sbin:/sbin"
library libEGL.so.1 libegl1
library libGL.so.1 libgl1
library libglib-2.0.so.0 libglib2.0-0
library libfontconfig.so.1 libfontconfig1
library libdbus-1.so.3 libdbus-1-3
library libxcb-cursor.so.0 libxcb-cursor0
library libxkbcommon-x11.so.0 libxkbcommon-x11-0
library libxcb-icccm.so.4 libxcb-icccm4
library libxcb-keysyms.so.1 libxcb-keysyms1
library libxcb-shape.so.0 libxcb-shape0
library libusb-1.0.so.0 libusb-1.0-0
command -v Xvfb >/dev/null 2>&1 || packages="$packages xvfb"
"${PYTHON:-python3}" -c "import ensurepip" 2>/dev/null || packages="$packages python3-venv"

# without a C compiler all runs, only slower: it is no reason to stop for somebody who can't install one
[ "$(id -u)" -ne 0 ] || command -v cc >/dev/null 2>&1 || packages="$packages gcc libc6-dev"

[ -n "$packages" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "These Debian packages, or what your system calls them, are missing:$packages" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Some system packages are missing. Type this line, then call make again:" >&2
    echo "    sudo apt-get install -y --no-install-recommends$packages" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # the list is meant to be split
apt-get install -y -qq --no-install-recommends $packages >/dev/null
