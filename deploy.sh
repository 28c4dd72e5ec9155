#!/bin/sh
# ./deploy.sh [--key VENDOR.pub] [--port 8080] [--host 127.0.0.1] [--name unjar] [--image unjar] [--state DIR] [--allow-downgrade]
#             [--settings FILE] [--token FILE]
# ./deploy.sh --check | model FOLDER | status | rollback | stop | uninstall [--yes]
# ./deploy.sh [--name unjar] report list | show N | make | approve N | withhold N | export N - | send | key
# ./deploy.sh [--name unjar] case list | export REQUEST_ID - [--redact] | wipe
# ./deploy.sh [--name unjar] support -
# ./deploy.sh [--name unjar] parts add FILE.dat... | list | remove ID... | encode
# Runs the server as a hardened container. A candidate starts beside the one that runs and is asked the rows that travel with the
# model; only when it answers as scikit-learn did does it get the port. Else everything stays as it was.
#   --check           looks whether this host can run it, and changes nothing
#   model FOLDER      a new release of the model alone (build.sh --model-only), for the image that is here
#   --key             the vendor's public key; needed beside a bundle, and remembered from then on. Twice while keys change
#   --host, --port    where it is published on this machine; 0.0.0.0 lets other machines in
#   --settings        lines UNJAR_NAME=VALUE for the server, docs/settings.md; remembered. What it names lies in STATE/NAME/trust,
#                     which the container sees as /trust: tokens, certificates
#   --token           where tokens are asked for: a file with one of the scope admin, to ask with; not remembered
#   report, case, support   what the vendor may be told, and who decides: docs/report-format.md. With - it is printed
#   parts             wing sections of your own, which the recommender searches beside the public ones: docs/api.md
#   --image           without a bundle: the image that build.sh made. Nobody verifies its model: development mode
#   --state           where releases and the key are kept (/var/lib/unjar for root, else ~/.local/share/unjar)
# exit: 0 it holds, 1 looked at and not accepted, 2 could not look (no engine, no image, port taken, another deploy.sh at work)
set -eu
here="$(cd "$(dirname "$0")" && pwd)"

command=deploy
port=""
host=""
image=unjar
name=unjar
keys=""
folder=""
settings=""
token=""
fresh=no
allow_downgrade=no
yes=no
if [ -w /var/lib ]; then state=/var/lib/unjar; else state="${HOME:-/nonexistent}/.local/share/unjar"; fi
ready_within_s=60
stop_within_s=30

say() { echo "deploy: $*"; }
refuse() { echo "deploy: $*" >&2; exit 1; }
fail() { echo "deploy: $*" >&2; exit 2; }
usage() { sed -n '2,22s/^# //p' "$0" >&2; exit 2; }
exists() { docker container inspect "$1" >/dev/null 2>&1; }

while [ $# -gt 0 ]; do
    case "$1" in
        --check) command=check; shift; continue ;;
        status | rollback | stop | uninstall) command="$1"; shift; continue ;;
        report | case | support | parts) command="$1"; shift; break ;;
        --allow-downgrade) allow_downgrade=yes; shift; continue ;;
        --yes) yes=yes; shift; continue ;;
        model | --port | --host | --image | --name | --state | --key | --settings | --token | --swap) [ -n "${2:-}" ] || usage ;;
        *) usage ;;
    esac
    case "$1" in
        model) command=model folder="$2" ;;
        --port) port="$2" ;;
        --host) host="$2" ;;
        --image) image="$2" ;;
        --name) name="$2" ;;
        --state) state="$2" ;;
        --key) keys="$keys $2" ;;
        --settings) settings="$2" ;;
        --token) token="$2" ;;
        # For this script alone: the part that must not be interrupted half-way, in a session of its own.
        --swap) command=swap wanted="$2" ;;
    esac
    shift 2
done
case "$name" in "" | [!A-Za-z0-9]* | *[!A-Za-z0-9_.-]*) fail "--name $name: letters, digits, '.', '_' and '-' are needed" ;; esac
case "$state" in /*) ;; *) state="$PWD/$state" ;; esac
if [ "$command" != check ]; then
    command -v docker >/dev/null || fail "no docker command on PATH; install Docker Engine, then run this again"
fi
home="$state/$name"
candidate="$name-candidate"
previous="$name-previous"

# --- what is remembered: files of lines NAME=VALUE, replaced in one step

# told FILE NAME
told() { sed -n "s/^$2=//p" "$1" 2>/dev/null | tail -n 1; }
# member FILE NAME: a string or number of a flat JSON object
member() { sed -n 's/.*"'"$2"'": *"\{0,1\}\([^",}]*\).*/\1/p' "$1" | head -n 1; }
remember() { printf '%s\n' "$2" >"$home/$1.new" && mv "$home/$1.new" "$home/$1"; }
plan() { printf 'number=%s\nimage=%s\nhost=%s\nport=%s' "$1" "$2" "$host" "$port"; }

port="${port:-$(told "$home/current" port)}"
port="${port:-8080}"
host="${host:-$(told "$home/current" host)}"
host="${host:-127.0.0.1}"
case "$port" in *[!0-9]* | ??????*) fail "--port $port: a number from 1 to 65535 is needed" ;; esac
at() {
    case "$1" in
        0.0.0.0) echo "http://127.0.0.1:$2" ;;
        *:*) echo "http://[$1]:$2" ;;
        *) echo "http://$1:$2" ;;
    esac
}

engine() {
    answer="$(docker version --format '{{.Server.Version}}' 2>&1)" || fail "no engine answers: $answer"
}

# --- one container

# run CONTAINER NUMBER IMAGE RELEASES FLAGS...: the server as a user without rights. RELEASES, which it only reads, hold the
# release with that number, and more where it may be given another one later.
run() {
    container="$1" number="$2" what="$3" mounted="$4"
    shift 4
    if [ "$number" != 0 ]; then
        # Folders and no files, so that what is replaced later is seen inside.
        set -- "$@" --volume "$mounted:ro" \
            --env UNJAR_REPOSITORY=/releases --env UNJAR_TRUSTED_KEYS=/trust/keys.pem --env UNJAR_REQUIRE_KEYS=on
    fi
    # Those that were given now, and later those that a server was accepted with.
    told_settings="${settings:-$home/settings}"
    if [ -f "$told_settings" ]; then set -- "$@" --env-file "$told_settings"; fi
    docker run --detach --name "$container" --volume "$home/trust:/trust:ro" --label unjar.deployed=yes --label "unjar.release=$number" \
        --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 128 --memory 1g \
        --log-opt max-size=10m --log-opt max-file=3 "$@" "$what" >/dev/null
}

# ask CONTAINER MODULE ...: with the token, where there is one; it goes in by no command line and no file.
ask() {
    container="$1" module="$2"
    shift 2
    if [ -z "$token" ]; then
        docker exec "$container" python -m "$module" "$@"
    else
        docker exec --interactive "$container" python -m "$module" "$@" --token-file /dev/stdin <"$token"
    fi
}

ready() {
    deadline=$(($(date +%s) + ready_within_s))
    until docker exec "$1" python -m serving.health >/dev/null 2>&1; do
        [ "$(docker container inspect --format '{{.State.Status}}' "$1")" = running ] || return 1
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

# Ready, and every row that travels with the model is answered as scikit-learn did, through the front door.
accepted() {
    if ! ready "$1"; then
        docker logs --tail 50 "$1" >&2
        say "$1 was not ready within $ready_within_s s; its log is above" >&2
        return 1
    fi
    if ! ask "$1" serving.check; then
        docker logs --tail 50 "$1" >&2
        say "$1 does not answer as it should; its log is above" >&2
        return 1
    fi
}

# With which release a container starts, also after this host was restarted.
starts_with() { printf '%s\n' "$1" >"$home/releases/active.new" && mv "$home/releases/active.new" "$home/releases/active"; }

put_back() {
    if exists "$name"; then docker rm --force "$name" >/dev/null; fi
    if exists "$previous"; then
        docker rename "$previous" "$name"
        if [ -f "$home/current" ]; then starts_with "$(told "$home/current" number)"; fi
        docker start "$name" >/dev/null
        if ready "$name"; then say "the previous container is ready again"; else say "the previous container was started again, but is not ready"; fi >&2
    fi
}

# What an earlier run that was killed has left. The container under the first name is trusted once it was written down.
recover() {
    if exists "$candidate"; then docker rm --force "$candidate" >/dev/null; fi
    exists "$previous" || return 0
    say "an earlier run was interrupted; clearing up after it first"
    if exists "$name" && [ "$(told "$home/current" container)" = "$(docker container inspect --format '{{.Id}}' "$name")" ]; then
        docker rm --force "$previous" >/dev/null
    else
        put_back
    fi
}

ours() {
    if exists "$1" && [ "$(docker container inspect --format '{{index .Config.Labels "unjar.deployed"}}' "$1")" != yes ]; then
        fail "container $1: was not started by deploy.sh, so it is left alone; pass another --name"
    fi
}

# Who holds the port, if anyone but the container that will be replaced.
holder() {
    publisher="$(docker ps --filter "publish=$port" --format '{{.Names}}' | head -n 1)"
    if [ "$publisher" = "$name" ]; then return 0; fi
    if [ -n "$publisher" ]; then echo "container $publisher"; return 0; fi
    wanted="$(printf ':%04X' "$port")"
    # The kernel's own list; 0A is listening.
    if sed -n 's/^ *[0-9]*: [0-9A-F]*\(:[0-9A-F]*\) [0-9A-F:]* 0A .*/\1/p' /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qx "$wanted"; then
        process="$(ss -Hltnp "sport = :$port" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/process \2, \1/p' | head -n 1)"
        echo "${process:-another process}"
    fi
}

# --- the steps

# Only one deploy.sh at a time; held until this script ends, and handed on to the part that swaps.
lock() {
    mkdir -p "$home/releases" "$home/trust" || fail "$home: cannot be made; --state names another folder"
    chmod 755 "$state" "$home" "$home/releases" "$home/trust"
    command -v flock >/dev/null || { say "no flock on PATH: take care that nobody else deploys at the same time" >&2; return 0; }
    exec 9>>"$home/lock"
    flock --nonblock 9 || fail "another deploy.sh is at work; wait for it"
}

# Changed settings want a container of their own.
configure() {
    [ -z "$token" ] || [ -r "$token" ] || fail "--token $token: cannot be read"
    [ -n "$settings" ] || return 0
    [ -r "$settings" ] || fail "--settings $settings: cannot be read"
    cmp -s "$settings" "$home/settings" || fresh=yes
}

# The vendor's key, from the first time on.
trust() {
    # shellcheck disable=SC2086  # a list of files
    if [ -n "$keys" ]; then
        for key in $keys; do openssl pkey -pubin -in "$key" -noout 2>/dev/null || fail "$key: holds no public key that openssl can read"; done
        given="$(cat $keys)"
        if [ -f "$home/trust/keys.pem" ]; then
            # One that was trusted before must be among them, or anybody's key would do.
            known=no
            for key in $keys; do
                if grep -qxF "$(sed -n '/BEGIN/{n;p;}' "$key")" "$home/trust/keys.pem"; then known=yes; fi
            done
            [ "$known" = yes ] || refuse "--key$keys: another key than the one that $home/trust/keys.pem trusts; when the vendor has told you by another way that it changed, remove that file and run this again"
        fi
        remember trust/keys.pem "$given"
        chmod 644 "$home/trust/keys.pem"
    fi
    [ -f "$home/trust/keys.pem" ] || fail "--key VENDOR.pub is needed once: the vendor's public key, which came to you by another way than the bundle"
}

# verified FOLDER: by the script that is here, with the keys that are trusted.
verified() {
    set -- "$1" "$(mktemp -d)"
    # A file for each key, as openssl reads only the first of several.
    awk -v place="$2" '/BEGIN/ {n++} {print > (place "/" n ".pub")}' "$home/trust/keys.pem"
    flags=""
    for key in "$2"/*.pub; do flags="$flags --key $key"; done
    verify="$here/verify.sh"
    [ -f "$verify" ] || verify="$here/bundle/verify.sh"
    code=0
    # shellcheck disable=SC2086  # a list of flags
    sh "$verify" $flags "$1" || code=$?
    rm -rf "$2"
    [ "$code" = 0 ] || exit "$code"
}

# keep FOLDER: a verified release, under its number. The copy is verified as well: it is what will run.
keep() {
    number="$(member "$1/release.json" number)"
    case "$number" in "" | *[!0-9]*) refuse "$1/release.json: has no number" ;; esac
    installed="$(told "$home/current" number)"
    if [ "$number" -lt "${installed:-0}" ] && [ "$allow_downgrade" = no ]; then
        refuse "release $number is older than $installed, which is installed; --allow-downgrade installs it all the same"
    fi
    rm -rf "$home/releases/.new"
    mkdir "$home/releases/.new"
    cp -R "$1/." "$home/releases/.new/"
    chmod -R u=rwX,go=rX "$home/releases/.new"
    verified "$home/releases/.new"
    rm -rf "$home/releases/.old"
    if [ -d "$home/releases/$number" ]; then mv "$home/releases/$number" "$home/releases/.old"; fi
    mv "$home/releases/.new" "$home/releases/$number"
    rm -rf "$home/releases/.old"
}

# Sets $what to the image's ID, and loads it where it is not here yet.
load_image() {
    what="$(member "$here/bundle.json" image)"
    if docker image inspect "$what" >/dev/null 2>&1; then return 0; fi
    say "loading the image"
    docker load --quiet --input "$here/image.tar.gz" >/dev/null || fail "the engine could not load image.tar.gz; its message is above"
    docker image inspect "$what" >/dev/null 2>&1 || refuse "image.tar.gz: holds another image than $what, which the vendor signed"
}

# try NUMBER IMAGE: a candidate without a network, and then the port.
try() {
    taken="$(holder)"
    [ -z "$taken" ] || fail "port $port on $host: taken by $taken; pass another --port, or stop it"
    say "starting a candidate beside what runs"
    run "$candidate" "$1" "$2" "$home/releases/$1:/releases/$1" --network none || fail "docker could not start it; its message is above"
    if ! accepted "$candidate"; then
        docker rm --force "$candidate" >/dev/null
        exit 1
    fi
    docker rm --force "$candidate" >/dev/null
    remember wanted "$(plan "$1" "$2")"
    trap - EXIT
    # A session of its own: whoever kills this script from here on does not kill the change half-way.
    apart=""
    if command -v setsid >/dev/null; then apart="setsid --wait"; fi
    code=0
    # Into a file: a terminal that went away must not end it either.
    $apart sh "$here/deploy.sh" --swap "$home/wanted" --name "$name" --state "$state" ${token:+--token "$token"} ${settings:+--settings "$settings"} >"$home/swap.log" 2>&1 || code=$?
    if [ "$code" = 0 ]; then cat "$home/swap.log"; else cat "$home/swap.log" >&2; fi
    return "$code"
}

# The change itself. $wanted: a file that says what shall run.
swap() {
    number="$(told "$wanted" number)" what="$(told "$wanted" image)" host="$(told "$wanted" host)" port="$(told "$wanted" port)"
    done=no
    trap '' INT TERM HUP
    trap 'code=$?; trap - EXIT; if [ "$done" = no ]; then put_back; fi; exit "$code"' EXIT
    if exists "$name"; then
        say "stopping the container it replaces"
        docker rename "$name" "$previous"
        docker stop --time "$stop_within_s" "$previous" >/dev/null
    fi
    case "$host" in *:*) publish="[$host]:$port:8080" ;; *) publish="$host:$port:8080" ;; esac
    say "starting $name on $host:$port"
    # No restarts until it is accepted, or one that cannot start would start for ever.
    starts_with "$number"
    run "$name" "$number" "$what" "$home/releases:/releases" --publish "$publish" \
        --volume "$name-state:/state" --env UNJAR_STATE=/state || fail "docker could not start it; its message is above"
    accepted "$name" || exit 1
    docker update --restart unless-stopped "$name" >/dev/null
    if [ -n "$settings" ]; then remember settings "$(cat "$settings")"; fi
    if [ -f "$home/current" ] && [ "$(told "$home/current" number)/$(told "$home/current" image)" != "$number/$what" ]; then
        cp "$home/current" "$home/before.new" && mv "$home/before.new" "$home/before"
    fi
    remember current "$(plan "$number" "$what")
container=$(docker container inspect --format '{{.Id}}' "$name")
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    done=yes
    if exists "$previous"; then docker rm "$previous" >/dev/null; fi
    url="$(at "$host" "$port")"
    say "$name serves at $url; in a browser: $url/docs, $url/status and, of the geometry encoder, $url/"
}

deploy() {
    if [ -f "$here/bundle.json" ]; then
        trust
        verified "$here"
        keep "$here/model"
        load_image
        change "$number" "$what"
    else
        number=0
        docker image inspect "$image" >/dev/null 2>&1 || fail "image $image: not on this engine; ./build.sh makes it, --image names another"
        what="$(docker image inspect --format '{{.Id}}' "$image")"
        say "no bundle here: the model inside $image is taken as it is, in development mode"
        try "$number" "$what"
    fi
}

model() {
    what="$(told "$home/current" image)"
    [ -n "$what" ] || fail "nothing is installed under $name yet; a whole bundle comes first"
    [ -f "$folder/release.json" ] || fail "$folder: is no folder of a release; unpack what build.sh --model-only made"
    trust
    verified "$folder"
    keep "$folder"
    change "$number" "$what"
}

# change NUMBER IMAGE FLAGS...: to another release, in the running server where its image stays: then no request fails.
change() {
    number="$1" what="$2"
    shift 2
    # Where the place changes too, or nothing runs yet, it takes a container of its own.
    if [ "$fresh" = yes ] || [ "$what" != "$(told "$home/current" image)" ] || [ "$(told "$home/current" number)" = 0 ] || ! exists "$name" \
        || [ "$host:$port" != "$(told "$home/current" host):$(told "$home/current" port)" ] || ! ready "$name"; then
        try "$number" "$what"
        return
    fi
    say "giving the running server release $number"
    if [ "$allow_downgrade" = yes ]; then set -- "$@" --parameter allow_downgrade=true; fi
    ask "$name" serving.control load "$number" "$@" || exit 1
    ask "$name" serving.check --release "$number" || refuse "release $number answers, and not as it should; ./deploy.sh rollback goes back"
    starts_with "$number"
    if [ "$(told "$home/current" number)" != "$number" ]; then cp "$home/current" "$home/before.new" && mv "$home/before.new" "$home/before"; fi
    remember current "$(plan "$number" "$what")
container=$(docker container inspect --format '{{.Id}}' "$name")
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    say "$name answers with release $number"
}

rollback() {
    number="$(told "$home/before" number)" what="$(told "$home/before" image)"
    [ -n "$what" ] || refuse "there is nothing to go back to under $name"
    docker image inspect "$what" >/dev/null 2>&1 || refuse "image $what: is no longer on this engine"
    [ "$number" = 0 ] || [ -d "$home/releases/$number" ] || refuse "release $number: is no longer in $home/releases"
    say "going back to release $number"
    allow_downgrade=yes
    change "$number" "$what" --parameter shadow_s=0 --parameter canary_percent=0
}

status() {
    if ! exists "$name"; then say "$name: not running"; return 1; fi
    docker container inspect --format "$name: {{.State.Status}}, {{with .State.Health}}{{.Status}}{{end}}, image {{.Image}}" "$name"
    echo "release: $(told "$home/current" number) since $(told "$home/current" since), at $(at "$host" "$port")"
    if [ -f "$home/before" ]; then echo "could go back to: release $(told "$home/before" number), image $(told "$home/before" image)"; fi
    docker exec "$name" python -m serving.health
}

stop() {
    exists "$name" || { say "$name: not running"; return 0; }
    docker stop --time "$stop_within_s" "$name" >/dev/null
    docker rm "$name" >/dev/null
    say "$name is stopped; the same command that installed it starts it again"
}

# Files are read here, as the container sees none of them.
parts() {
    [ "${1:-}" = add ] && [ $# -gt 1 ] || { docker exec "$name" python -m recommender "$@"; return; }
    shift
    for file in "$@"; do
        [ -r "$file" ] || fail "$file: cannot be read"
        id="$(basename "$file" .dat)"
        docker exec --interactive "$name" python -m recommender add - --id "$id" <"$file" || exit $?
    done
}

uninstall() {
    if [ "$yes" = no ]; then
        printf 'deploy: removes container %s, its images, its counts and reports (volume %s-state) and %s. Go on? [y/N] ' "$name" "$name" "$home"
        read -r answer || answer=n
        case "$answer" in y | Y | yes) ;; *) fail "left as it was" ;; esac
    fi
    for container in "$name" "$candidate" "$previous"; do
        ours "$container"
        if exists "$container"; then docker rm --force "$container" >/dev/null; fi
    done
    docker volume rm --force "$name-state" >/dev/null
    for file in "$home/current" "$home/before"; do
        # Another container may still use it.
        if [ -f "$file" ]; then docker rmi "$(told "$file" image)" >/dev/null 2>&1 || true; fi
    done
    rm -rf "${home:?}"
    say "$name is gone"
}

# --- can this host run it?

faults=0
pass() { echo "pass  $*"; }
warn() { echo "warn  $*"; }
fault() { echo "FAIL  $*"; faults=$((faults + 1)); }

check() {
    command -v docker >/dev/null || { fault "docker: no such command; install Docker Engine"; return 1; }
    version="$(docker version --format '{{.Server.Version}}' 2>&1)" || { fault "engine: none answers: $version"; return 1; }
    case "$version" in
        [0-9].* | 1[0-9].* | 20.0*) warn "engine: $version; tested from 20.10 on" ;;
        *) pass "engine: $version" ;;
    esac
    for tool in openssl base64 sed awk; do command -v "$tool" >/dev/null || fault "$tool: no such command, and verifying needs it"; done
    command -v flock >/dev/null || warn "flock: no such command; nothing keeps two operators apart"
    arch="$(docker version --format '{{.Server.Arch}}')"
    if [ -f "$here/bundle.json" ]; then
        wanted="$(member "$here/bundle.json" architecture)"
        if [ "$arch" = "$wanted" ]; then pass "architecture: $arch"; else fault "architecture: this is $arch, the image is for $wanted; ask the vendor for the other bundle"; fi
    fi
    case "$arch $(sed -n 's/^flags[^:]*://p' /proc/cpuinfo 2>/dev/null | head -n 1) " in
        amd64*" avx2 "*) pass "processor: AVX2" ;;
        amd64*" sse4_2 "*) warn "processor: no AVX2; it answers the same, more slowly" ;;
        amd64*) fault "processor: no SSE 4.2, which onnxruntime needs" ;;
        *) pass "processor: $arch" ;;
    esac
    free="$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)"
    if [ "${free:-0}" -ge 1000000 ]; then pass "memory: $((free / 1000)) MB free"; elif [ "${free:-0}" -ge 300000 ]; then warn "memory: $((free / 1000)) MB free; 1000 are better"; else fault "memory: ${free:-?} kB free, 300 MB are needed"; fi
    root="$(docker info --format '{{.DockerRootDir}}')"
    space="$(df -Pk "$root" 2>/dev/null | awk 'NR == 2 {print $4}')"
    if [ -z "$space" ]; then warn "disk: $root cannot be looked at from here"; elif [ "$space" -ge 500000 ]; then pass "disk: $((space / 1000)) MB free under $root"; else fault "disk: $((space / 1000)) MB free under $root, 500 are needed"; fi
    taken="$(holder)"
    if [ -z "$taken" ]; then pass "port: $port on $host is free, or ours"; else fault "port: $port on $host is taken by $taken; pass another --port"; fi
    if [ ! -f "$here/bundle.json" ]; then
        warn "bundle: none here; an image's own model would run in development mode"
        return "$((faults > 0))"
    fi
    clock
    signatures
    if docker image inspect "$(member "$here/bundle.json" image)" >/dev/null 2>&1; then pass "image: is on the engine"; else pass "image: will be loaded from image.tar.gz"; fi
    if [ "$faults" = 0 ]; then say "this host can run it"; else say "$faults faults; nothing was changed"; fi
    return "$((faults > 0))"
}

clock() {
    now="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    created="$(member "$here/bundle.json" created)"
    expires="$(member "$here/model/release.json" expires)"
    # Times of this form are in the order of their letters.
    if [ "$(printf '%s\n%s\n' "$created" "$now" | sort | head -n 1)" != "$created" ]; then
        warn "clock: says $now, before the bundle was made ($created); set it right"
    elif [ -n "$expires" ] && [ "$(printf '%s\n%s\n' "$expires" "$now" | sort | head -n 1)" = "$expires" ]; then
        warn "clock: says $now, and the release expired on $expires; ask the vendor for the next one"
    else
        pass "clock: $now"
    fi
}

signatures() {
    if [ -z "$keys" ] && [ ! -f "$home/trust/keys.pem" ]; then fault "key: none is trusted yet; pass --key VENDOR.pub"; return 0; fi
    flags=""
    for key in $keys; do flags="$flags --key $key"; done
    if [ -z "$flags" ]; then flags="--key $home/trust/keys.pem"; fi
    # shellcheck disable=SC2086  # a list of flags
    if said="$(sh "$here/verify.sh" $flags "$here" 2>&1)"; then pass "signature: ${said#verify: }"; else fault "signature: ${said#verify: }"; fi
}

case "$command" in
    check) check; exit $? ;;
    swap) engine; swap; exit $? ;;
    status) engine; status; exit $? ;;
    report | case | support)
        engine
        exists "$name" || fail "$name: not running, and what it has kept is asked for inside"
        docker exec "$name" python -m "serving.$command" "$@"
        exit $? ;;
    parts)
        engine
        exists "$name" || fail "$name: not running, and its parts are kept inside"
        parts "$@"
        exit $? ;;
esac
engine
lock
ours "$name"
recover
configure
trap 'if exists "$candidate"; then docker rm --force "$candidate" >/dev/null; fi' EXIT
trap 'exit 2' INT TERM HUP
"$command"
