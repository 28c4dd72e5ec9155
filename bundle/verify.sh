#!/bin/sh
# sh verify.sh --key VENDOR.pub [--key NEXT.pub] [FOLDER]
# Is every file of the bundle, or of a release of the model, the one that the vendor signed, and is there no other?
#   --key    the vendor's public key, which came to you by another way than the bundle
#   FOLDER   what is looked at (default: the folder of this script)
# Needs sed, base64, openssl and what any shell has. The signature is one of OpenSSF Model Signing; `model_signing verify key` reads it too.
# exit: 0 it holds, 1 it does not, 2 could not look
set -eu
LC_ALL=C
export LC_ALL

say() { echo "verify: $*"; }
refuse() { echo "verify: REFUSED: $*" >&2; exit 1; }
fail() { echo "verify: $*" >&2; exit 2; }
usage() { sed -n '2,7s/^# //p' "$0" >&2; exit 2; }

folder="$(cd "$(dirname "$0")" && pwd)"
keys=""
while [ $# -gt 0 ]; do
    case "$1" in
        --key) [ -n "${2:-}" ] || usage; keys="$keys$2
"; shift 2 ;;
        -*) usage ;;
        *) folder="${1%/}"; shift ;;
    esac
done
[ -n "$keys" ] || usage
for tool in sed base64 openssl; do command -v "$tool" >/dev/null || fail "no $tool on PATH, which this needs"; done
[ -d "$folder" ] || fail "$folder: no such folder"
if [ -f "$folder/bundle.sig" ]; then signature=bundle.sig; else signature=model.sig; fi
[ -f "$folder/$signature" ] && [ ! -L "$folder/$signature" ] || refuse "$folder: has neither bundle.sig nor model.sig, so nobody has signed it"

work="$(mktemp -d)" || fail "no folder for what is unpacked can be made; is ${TMPDIR:-/tmp} full?"
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM HUP

# One line, so that sed sees it whole. \n is no part of JSON but between its tokens.
flat() { sed -e ':a' -e '$!N' -e '$!ba' -e 's/\n/ /g'; }
# member NAME: the string of that name in a line of JSON on stdin, where it is one without escapes.
member() { sed -n 's/.*"'"$1"'" *: *"\([^"\\]*\)".*/\1/p'; }

envelope="$(flat <"$folder/$signature")"
kind="$(printf '%s\n' "$envelope" | member payloadType)"
[ "$kind" = application/vnd.in-toto+json ] || refuse "$signature: signs '$kind', expected application/vnd.in-toto+json"
printf '%s\n' "$envelope" | member payload | base64 -d >"$work/payload" 2>/dev/null || refuse "$signature: its payload is not base64"
printf '%s\n' "$envelope" | member sig | base64 -d >"$work/sig" 2>/dev/null || refuse "$signature: its signature is not base64"
# The x keeps newlines at the end, which a substitution drops.
payload="$(printf '%s\n' "$envelope" | member payload | base64 -d; echo x)"
payload="${payload%x}"
printf 'DSSEv1 %s %s %s %s' "${#kind}" "$kind" "${#payload}" "$payload" >"$work/signed"

signer=""
trusted=""
while IFS= read -r key; do
    [ -n "$key" ] || continue
    openssl pkey -pubin -in "$key" -noout 2>/dev/null || fail "$key: holds no public key that openssl can read"
    fingerprint="$(openssl pkey -pubin -in "$key" -outform DER | openssl dgst -sha256 | sed 's/.*= *//')"
    case "$(openssl pkey -pubin -in "$key" -noout -text)" in *prime256v1*) ;; *) fail "$key: is not a key on the curve P-256" ;; esac
    trusted="$trusted $(printf '%.16s' "$fingerprint")"
    if openssl dgst -sha256 -verify "$key" -signature "$work/sig" "$work/signed" >/dev/null 2>&1; then signer="$fingerprint"; fi
done <<KEYS
$keys
KEYS
[ -n "$signer" ] || refuse "$signature: is not a signature of key$trusted; it was changed since, or another key made it"

statement="$(flat <"$work/payload")"
case "$statement" in
    *'"predicateType"'*'"https://model_signing/signature/v1.0"'*) ;;
    *) refuse "$signature: signs something else than files" ;;
esac
printf '%s\n' "$statement" | sed 's/{/\
{/g' | sed -n '/"algorithm"/p' >"$work/resources"

names="
"
count=0
while IFS= read -r line; do
    name="$(printf '%s\n' "$line" | member name)"
    wanted="$(printf '%s\n' "$line" | member digest)"
    [ "$(printf '%s\n' "$line" | member algorithm)" = sha256 ] || refuse "$signature: the digest of $name is not a SHA-256"
    case "/$name" in
        *[!A-Za-z0-9._/-]* | */.* | *//* | */-* | */) refuse "$signature: signs a file called '$name'" ;;
    esac
    if [ -L "$folder/$name" ]; then refuse "$name: is a link, expected a file"; fi
    [ -f "$folder/$name" ] || refuse "$name: is missing"
    found="$(openssl dgst -sha256 <"$folder/$name" | sed 's/.*= *//')"
    [ "$found" = "$wanted" ] || refuse "$name: its SHA-256 is $found, the vendor signed $wanted; it was changed since"
    names="$names$name
"
    count=$((count + 1))
done <"$work/resources"
[ "$count" -gt 0 ] || refuse "$signature: signs no files"

# Everything that is there, and nothing that was not signed. $1: a folder below, with its slash, or nothing.
look() {
    for entry in "$folder/$1"* "$folder/$1".[!.]* "$folder/$1"..?*; do
        name="${entry#"$folder"/}"
        if [ -L "$entry" ]; then refuse "$name: is a link, expected a file"; fi
        if [ -d "$entry" ]; then
            look "$name/"
        elif [ -f "$entry" ]; then
            [ "$name" != "$signature" ] || continue
            case "$names" in
                *"
$name
"*) ;;
                *) refuse "$name: was not signed by the vendor; nothing may be added" ;;
            esac
        elif [ -e "$entry" ]; then
            refuse "$name: is no file"
        fi
    done
}
look ""
say "$count files of $folder are as key $signer signed them"
