#!/bin/sh
# ./deploy.sh [--port 8080] [--host 127.0.0.1] [--image unjar] [--name unjar]
# Runs the image as a hardened container, waits until it is ready, lets client.py check it and prints its address.
#   --host, --port   where it is published on this machine; 0.0.0.0 lets other machines in
#   --image, --name  the image that build.sh made, and the container's name
# A container that an earlier run started under the same name is replaced, and put back should the new one fail.
# exit: 0 running and checked, 1 started and not accepted, 2 could not look (no engine, no image, port taken, no client)
set -eu
here="$(cd "$(dirname "$0")" && pwd)"

port=8080
host=127.0.0.1
image=unjar
name=unjar
ready_within_s=60
stop_within_s=30

say() { echo "deploy: $*"; }
fail() { echo "deploy: $*" >&2; exit 2; }
usage() { sed -n '2,7s/^# //p' "$0" >&2; exit 2; }
exists() { docker container inspect "$1" >/dev/null 2>&1; }

while [ $# -gt 0 ]; do
    [ -n "${2:-}" ] || usage
    case "$1" in
        --port) port="$2" ;;
        --host) host="$2" ;;
        --image) image="$2" ;;
        --name) name="$2" ;;
        *) usage ;;
    esac
    shift 2
done
case "$port" in *[!0-9]* | ??????*) fail "--port $port: a number from 1 to 65535 is needed" ;; esac
case "$host" in
    0.0.0.0) url="http://127.0.0.1:$port" publish="$host:$port:8080" ;;
    *:*) url="http://[$host]:$port" publish="[$host]:$port:8080" ;;
    *) url="http://$host:$port" publish="$host:$port:8080" ;;
esac
previous="$name-previous"

# Sets $python to one that can run client.py.
find_python() {
    for python in "$here/.venv/bin/python" python3 python; do
        if "$python" -c 'import requests' 2>/dev/null; then return 0; fi
    done
    return 1
}

publisher() { docker ps --filter "publish=$port" --format '{{.Names}}' | head -n 1; }

# Prints who holds the port, if anyone but the container that will be replaced.
holder() {
    container="$(publisher)"
    if [ "$container" = "$name" ]; then return 0; fi
    if [ -n "$container" ]; then echo "container $container"; return 0; fi
    "$python" - "$host" "$port" <<'PROBE' && return 0
import errno, socket, sys
try:
    socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
except OSError as error:  # whatever else is wrong with the address, docker says it better
    sys.exit(error.errno == errno.EADDRINUSE)
PROBE
    process="$(ss -Hltnp "sport = :$port" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/process \2, \1/p' | head -n 1)"
    echo "${process:-another process}"
}

look() {
    command -v docker >/dev/null || fail "no docker command on PATH; install Docker Engine, then run this again"
    engine="$(docker version --format '{{.Server.Version}}' 2>&1)" || fail "no engine answers: $engine"
    docker image inspect "$image" >/dev/null 2>&1 || fail "image $image: not on this engine; ./build.sh makes it, --image names another"
    for file in client.py example.json; do
        [ -f "$here/$file" ] || fail "$file: not beside deploy.sh; nothing is deployed that cannot be checked"
    done
    find_python || fail "no python that has requests, which client.py needs; run scripts/serve once, or pip install requests"
    recover
    if exists "$name" && [ "$(docker container inspect --format '{{index .Config.Labels "unjar.deployed"}}' "$name")" != yes ]; then
        fail "container $name: was not started by deploy.sh, so it is left alone; pass another --name"
    fi
    taken="$(holder)"
    [ -z "$taken" ] || fail "port $port on $host: taken by $taken; pass another --port, or stop it"
}

# A run that was killed half-way left the container it could trust under the second name.
recover() {
    if exists "$previous"; then
        say "an earlier run was interrupted; going back to the container it was replacing first"
        put_back
    fi
}

ready() {
    deadline=$(($(date +%s) + ready_within_s))
    until docker exec "$name" python -m serving.health >/dev/null 2>&1; do
        [ "$(docker container inspect --format '{{.State.Status}}' "$name")" = running ] || return 1
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

put_back() {
    if exists "$name"; then docker rm --force "$name" >/dev/null; fi
    if exists "$previous"; then
        docker rename "$previous" "$name"
        docker start "$name" >/dev/null
        if ready; then say "the previous container is ready again"; else say "the previous container was started again, but is not ready"; fi >&2
    fi
}

# Holds until this script ends, and needs no file of its own.
exec 9<"$here/deploy.sh"
if command -v flock >/dev/null; then flock --nonblock 9 || fail "another deploy.sh is at work; wait for it"; fi

look

accepted=no
end() {
    code=$?
    trap - EXIT
    if [ "$accepted" = no ]; then put_back; fi
    exit "$code"
}
trap end EXIT
trap 'exit 2' INT TERM HUP

if exists "$name"; then
    say "stopping the container it replaces"
    docker rename "$name" "$previous"
    docker stop --time "$stop_within_s" "$previous" >/dev/null
fi
say "starting $name from $image on $host:$port"
# No restarts until it is accepted, or one that cannot start would start for ever.
docker run --detach --name "$name" --label unjar.deployed=yes --publish "$publish" \
    --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 128 --memory 1g \
    --log-opt max-size=10m --log-opt max-file=3 "$image" >/dev/null \
    || fail "docker could not start it; its message is above"
if ! ready; then
    docker logs --tail 50 "$name" >&2
    say "$name was not ready within $ready_within_s s; its log is above" >&2
    exit 1
fi
say "ready; asking it for the example"
# A proxy in the environment would be asked for this machine's own address.
if ! no_proxy='*' "$python" "$here/client.py" --url "$url"; then
    docker logs --tail 50 "$name" >&2
    say "the client did not accept its answer; the container's log is above" >&2
    exit 1
fi
docker update --restart unless-stopped "$name" >/dev/null
accepted=yes
if exists "$previous"; then docker rm "$previous" >/dev/null; fi
say "$name serves at $url, with its pages at $url/docs"
