#!/bin/sh
# ./build.sh [--name unjar] [--base IMAGE] [--batch]
# ./build.sh --bundle | --model-only  --number N --key PRIVATE.pem [--model-name model] [--expires YYYY-MM-DD]
# Builds the image: fetches the locked wheels into build/wheels, then builds without a network. model.pkl is converted in a
# container first, unless model.onnx was made from this very file and has proved the regressions.json that is here.
#   --name        the image's name; it is tagged NAME:latest and NAME:<first 12 digits of the model's SHA-256>
#   --base        the Python image to start from (default: $BASE_IMAGE, else the one the Dockerfile names)
#   --batch       makes the image for whole tables instead, docs/batch.md: NAME:batch and NAME:batch-<the same 12 digits>
#   --bundle      then signs and packs all that a site needs into build/MODEL-NAME-N.tar
#   --model-only  makes no image: packs a new release of the model alone, for a site that has the image
#   --number      of the release; sites refuse one that is not higher than theirs
#   --key         the vendor's private key on P-256: openssl ecparam -name prime256v1 -genkey -noout -out PRIVATE.pem
# exit: 0 built, 1 model.pkl was looked at and not accepted, 2 could not look (no engine, no wheels, no base image, no key)
set -eu
cd "$(dirname "$0")"

name=unjar
base="${BASE_IMAGE:-}"
pack=""
number=""
key=""
model_name=model
expires=""
kind=serving
latest=latest
prefix=""

say() { echo "build: $*"; }
fail() { echo "build: $*" >&2; exit 2; }
usage() { sed -n '2,14s/^# //p' "$0" >&2; exit 2; }

while [ $# -gt 0 ]; do
    case "$1" in
        --bundle | --model-only) pack="${1#--}"; shift; continue ;;
        --batch) kind=batch latest=batch prefix=batch-; shift; continue ;;
        --name | --base | --number | --key | --model-name | --expires) [ -n "${2:-}" ] || usage ;;
        *) usage ;;
    esac
    case "$1" in
        --name) name="$2" ;;
        --base) base="$2" ;;
        --number) number="$2" ;;
        --key) key="$2" ;;
        --model-name) model_name="$2" ;;
        --expires) expires="$2" ;;
    esac
    shift 2
done
if [ -n "$pack" ]; then
    [ "$kind" = serving ] || fail "--batch and --$pack: the image for whole tables is in no bundle; docker save $name:batch packs it"
    case "$number" in "" | *[!0-9]*) fail "--$pack needs --number N, higher than the release before" ;; esac
    [ -f "$key" ] || fail "--$pack needs --key, the vendor's private key; '$key' is no file"
    openssl ec -in "$key" -noout 2>/dev/null || fail "$key: holds no private key on an elliptic curve that openssl can read"
fi

python=.venv/bin/python
[ -x "$python" ] || python=python3
digest_of() { "$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"; }

# sign FOLDER SIGNATURE: in the form of OpenSSF Model Signing, by its own tool.
sign() {
    .venv-signing/bin/model_signing sign key --no-ignore-git-paths --private_key "$key" --signature "$1/$2" "$1" >/dev/null \
        || fail "$1 could not be signed; the message is above"
}

# step NAME FOLDER ...: one of bundle/'s, with its exit code.
step() { "$python" -m bundle "$@" --epoch "$stamp" --name "$model_name" --number "$number" || exit $?; }

release() {
    scripts/venv && python=.venv/bin/python
    scripts/tool signing
    stamp="$(date +%s)"
    folder="build/bundle/$model_name-$number"
    rm -rf "$folder" && mkdir -p "$folder"
    say "release $number of $model_name"
    step release "$1" ${expires:+--expires "$expires"}
    sign "$1" model.sig
}

# The archive, once the operator's own script has read the folder.
finish() {
    openssl ec -in "$key" -pubout -out build/bundle/vendor.pub 2>/dev/null
    sh bundle/verify.sh --key build/bundle/vendor.pub "$folder" || fail "$folder does not verify"
    step archive "$folder" --to "build/$model_name-$number$1.tar"
    say "build/$model_name-$number$1.tar, $(($(wc -c <"build/$model_name-$number$1.tar") / 1000)) kB, signed by key $(
        openssl pkey -pubin -in build/bundle/vendor.pub -outform DER | openssl dgst -sha256 | sed 's/.*= *//')"
}

if [ "$pack" = model-only ]; then
    [ -f model.onnx ] || fail "model.onnx: no such file; convert.py writes it"
    folder="build/bundle/$model_name-$number"
    rm -rf "$folder"
    release "$folder/model"
    mv "$folder/model" "$folder.new" && rmdir "$folder" && mv "$folder.new" "$folder"
    finish -model
    exit 0
fi

minor="$(sed -n 's/^ARG PYTHON=//p' Dockerfile)"
base="${base:-python:$minor-slim}"

command -v docker >/dev/null || fail "no docker command on PATH; install Docker Engine, then run this again"
arch="$(docker version --format '{{.Server.Arch}}' 2>&1)" || fail "no engine answers: $arch"
case "$arch" in
    amd64) arch=x86_64 ;;
    arm64) arch=aarch64 ;;
    *) fail "the engine runs on $arch; the locked wheels exist for amd64 and arm64" ;;
esac
[ -f model.pkl ] || fail "model.pkl: no such file; python -m training writes it"

"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip, and pip fetches the wheels; run scripts/serve once, or install python3-pip"

# fetch FOLDER LOCK: the wheels of a lock, for the image's Python and not for this machine's.
fetch() {
    new="build/wheels/$1.new"
    rm -rf "$new" && mkdir -p "$new" "build/wheels/$1"
    { echo "# $minor $arch"; cat "$2"; } >"$new/requirements.txt"
    if cmp -s "$new/requirements.txt" "build/wheels/$1/requirements.txt"; then
        say "reusing build/wheels/$1"
        rm -rf "$new"
        return 0
    fi
    say "fetching the wheels of $2 for Python $minor on $arch into build/wheels/$1"
    set -- "$1" "$2" --platform "manylinux2014_$arch"
    for glibc in 28 27 26 24 17 12 5; do set -- "$@" --platform "manylinux_2_${glibc}_$arch"; done
    folder="$1"; shift 2
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
        --implementation cp --python-version "$minor" "$@" --find-links "build/wheels/$folder" \
        --dest "$new" -r "$new/requirements.txt" \
        || { rm -rf "$new"; fail "pip could not fetch the wheels; its message is above"; }
    rm -rf "build/wheels/$folder" && mv "$new" "build/wheels/$folder"
}

# Clients before 23 have BuildKit built in and do not use it unasked; later ones use it, or the legacy builder without buildx.
client="$(docker --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')"
if [ "$client" -lt 23 ]; then export DOCKER_BUILDKIT=1; fi
export BUILDKIT_PROGRESS=plain

build() { docker build --force-rm --network none --build-arg "BASE_IMAGE=$base" "$@" .; }
conversion() { build --file bundle/image/conversion.Dockerfile "$@"; }

# The conversion, in a container without a network: model.onnx and example.json come out of it.
convert() {
    fetch builder requirements.txt
    say "installing what the conversion needs on $base"
    conversion --target builder || fail "the builder could not be made; the step that failed is above"
    say "converting model.pkl, with no network"
    rm -f build/convert.failed
    { conversion --target model --tag "$name:conversion" 2>&1 || touch build/convert.failed; } | tee build/convert.log
    if [ -e build/convert.failed ]; then
        # docker gives the failed step's exit code only in words.
        case "$(sed -n 's/.*code: \([0-9]*\).*/\1/p' build/convert.log | tail -n 1)" in
            1) say "model.pkl was not accepted; the reason is above" >&2; exit 1 ;;
            *) fail "model.pkl could not be converted; the reason is above" ;;
        esac
    fi
    container="$(docker create "$name:conversion" true)"
    for file in model.onnx example.json; do docker cp "$container:/src/$file" "build/$file" >/dev/null; done
    docker rm "$container" >/dev/null
    docker rmi "$name:conversion" >/dev/null
    # Both or neither: the example's answers are this model's.
    mv build/example.json example.json && mv build/model.onnx model.onnx
}

if ! docker image inspect "$base" >/dev/null 2>&1; then
    say "pulling $base"
    docker pull "$base" || fail "$base cannot be pulled; load it with docker load, or name another Python $minor image with --base"
fi
# What went wrong once and was adopted is proved by a conversion alone.
current() {
    grep -qs "$(digest_of model.pkl)" model.onnx && { [ ! -f regressions.json ] || grep -qs "$(digest_of regressions.json)" model.onnx; }
}
if current; then say "model.onnx was made from this model.pkl"; else convert; fi
fetch "$kind" "requirements/$kind.txt"

say "making $name:$latest"
revision="$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown)"
epoch="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)}"
model="$(digest_of model.onnx)"
build --tag "$name:$latest" --build-arg "KIND=$kind" --build-arg "SOURCE_DATE_EPOCH=$epoch" --build-arg "MODEL_SHA256=$model" \
    --label "org.opencontainers.image.revision=$revision" || fail "the image could not be made; the step that failed is above"
# What a builder adds of its own, times and names, is taken off: the same commit makes the same image.
docker save "$name:$latest" | "$python" -m bundle.image.archive --tag "$name:$latest" --epoch "$epoch" >build/image.tar 2>build/image.id \
    || fail "the image could not be settled: $(cat build/image.id)"
docker load --quiet --input build/image.tar >/dev/null
short="$prefix$(printf '%.12s' "$model")"
docker tag "$name:$latest" "$name:$short"
docker image inspect --format '{{.Id}} {{.Size}}' "$name:$latest" | while read -r id size; do
    say "$name:$latest $name:$short"
    say "id $id"
    say "size $((size / 1000000)) MB"
done

[ "$pack" = bundle ] || exit 0
folder="build/bundle/$model_name-$number"
release "$folder/model"
say "packing the image, what it is made of, and how it was made"
step fill "$folder" --image build/image.tar --wheels build/wheels/serving --commit "$revision"
sign "$folder" bundle.sig
finish ""
