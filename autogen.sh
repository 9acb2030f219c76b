#!/bin/sh
# SPDX-License-Identifier: ISC
# Make configure from configure.ac, in a fresh clone.

set -eu
cd "$(dirname "$0")"

missing=
for tool in autoconf automake pkg-config; do
	command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -n "$missing" ]; then
	echo "autogen.sh: missing:$missing" >&2
	echo "On Debian: apt-get install$missing" >&2
	echo "On OpenBSD: pkg_add autoconf automake" >&2
	exit 1
fi
exec autoreconf --install --force
