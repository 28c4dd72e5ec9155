"""How does the OpenAPI document read on a page that needs nothing from outside the firewall?

Plain HTML made here: no script, no other origin, one style sheet whose hash is in the policy.
"""

import base64
import hashlib
import json
from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
h2 { border-top: 1px solid #d0d7de; padding-top: 1.2rem; margin-top: 2rem; font-size: 1.1rem }
code, pre { font: 13px/1.45 ui-monospace, monospace; background: #f3f5f7; border-radius: 4px }
code { padding: .1rem .3rem } pre { padding: .8rem; overflow: auto; max-height: 22rem; white-space: pre-wrap }
pre, td { overflow-wrap: anywhere } pre code { padding: 0; background: none }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0 }
.method { color: #0a5d2c; font-weight: 700; margin-right: .5rem }
.warning { border-left: 4px solid #bf8700; padding: .3rem .8rem; background: #fff8c5; color: #1b1f24 }
@media (prefers-color-scheme: dark) { body { background: #14171a; color: #dde3e9 } code, pre { background: #22272d }
  h2 { border-color: #333b44 } .method { color: #6fd08c } a { color: #8ab8ff } }
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


DEVELOPMENT = (
    '<p class="warning">Development mode: no trusted key was given, so nobody has verified who made this model. '
    "UNJAR_TRUSTED_KEYS names the vendor's public key.</p>"
)


def render(document: dict[str, Any], address: str, verified: bool) -> str:
    parts = [
        _operation(address, path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<p>{escape(document['info']['description'])}. The Open Inference Protocol, version 2, over HTTP. The same as data: "
        '<a href="openapi.json">openapi.json</a>. Figures: <a href="metrics">metrics</a>.</p>'
        + ("" if verified else DEVELOPMENT)
        + "".join(parts)
        + "<h2>Schemas</h2>"
        + "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
        + "</html>"
    )


def _operation(address: str, path: str, method: str, operation: dict[str, Any]) -> str:
    rows = [_row(parameter["name"], f"in the {parameter['in']}") for parameter in operation.get("parameters", [])]
    takes = operation.get("requestBody", {}).get("content", {})
    rows += [_row("body", f"{kind} {_named(content)}") for kind, content in takes.items()]
    rows += [_row(status, _answer(answer)) for status, answer in operation["responses"].items()]
    example = takes.get("application/json", {}).get("example")
    return (
        f'<h2><span class="method">{method.upper()}</span><code>{escape(path)}</code></h2>'
        f"<p>{escape(operation.get('description', ''))}</p><table>{''.join(rows)}</table>"
        + (_curl(address + path, operation, example) if example else "")
    )


def _answer(answer: dict[str, Any]) -> str:
    kinds = ", ".join(f"{kind} {_named(content)}".strip() for kind, content in answer.get("content", {}).items())
    return f"{answer['description']}: {kinds}" if kinds else str(answer["description"])


def _named(content: dict[str, Any]) -> str:
    return str(content.get("schema", {}).get("$ref", "")).rsplit("/", 1)[-1]


def _row(name: str, text: str) -> str:
    return f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>"


def _curl(address: str, operation: dict[str, Any], example: dict[str, Any]) -> str:
    if "{version}" in address:
        return ""
    names = [parameter["example"] for parameter in operation.get("parameters", []) if parameter["name"] == "name"]
    quoted = json.dumps(example, separators=(",", ":")).replace("'", "'\\''")
    command = f"curl -s {address.replace('{name}', names[0]) if names else address} -d '{quoted}'"
    what = "One of the model's own verification rows" if names else "An example"
    return f"<p>{what}, to paste into a shell:</p><pre><code>{escape(command)}</code></pre>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    return f"<h3>{escape(name)}</h3><pre><code>{escape(json.dumps(schema, indent=2))}</code></pre>"
