"""Every mistake is told in one line, by file, line and key, with what would be accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.configurations import GOOD, refusal, with_model, with_provider, with_route

KEYED = f"{GOOD}storage: {{signing_key: k}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{GOOD}serve: {{}}",
            'c.yaml:5: serve: unknown key (did you mean "server"?); accepted: server, auth, state, ',
        ),
        (
            f"{GOOD}server:\n  prot: 1",
            'c.yaml:6: server.prot: unknown key (did you mean "port"?); accepted: host, port, public_url, ',
        ),
        (
            f"{GOOD}auth:\n  keys:\n    - name: a\n      key: b\n      budget:\n        usd: 1\n        pre: day",
            'c.yaml:11: auth.keys[0].budget.pre: unknown key (did you mean "per"?); accepted: usd, per, unpriced',
        ),
        (f"{GOOD}limits: {{zzz: 1}}", "c.yaml:5: limits.zzz: unknown key; accepted: header_count, header_bytes, "),
        (f"{GOOD}? - a\n: 1", "c.yaml:1: a key that is a list or a mapping; accepted: text as a key"),
        (
            f"{GOOD}server: {{port: eighty}}",
            'c.yaml:5: server.port: "eighty" is not a whole number; accepted: a whole number from 0 to 65535',
        ),
        (
            f"{GOOD}server: {{port: true}}",
            "c.yaml:5: server.port: true is not a whole number; accepted: a whole number from 0 to 65535",
        ),
        (
            f"{GOOD}server: {{port: 65536}}",
            "c.yaml:5: server.port: 65536 is out of range; accepted: a whole number fro",
        ),
        (
            f"{GOOD}server: {{port: -1}}",
            "c.yaml:5: server.port: -1 is out of range; accepted: a whole number from 0 to",
        ),
        (f"{GOOD}server: {{port: 1.5}}", "c.yaml:5: server.port: 1.5 is not a whole number; accepted: a whole number"),
        (f"{GOOD}server: {{port: [1]}}", "c.yaml:5: server.port: a list is not a whole number; accepted: a whole"),
        (
            f"{GOOD}server: {{port: {10**100}}}",
            "c.yaml:5: server.port: a number of more than 77 digits is out of range",
        ),
        (f"{GOOD}server: {{port: {'9' * 5000}}}", "c.yaml:5: server.port: a number that cannot be read; accepted: a"),
        (
            f"{GOOD}server: {{deadline_seconds: 0}}",
            "c.yaml:5: server.deadline_seconds: 0 is out of range; accepted: a number above 0, at most 315360000",
        ),
        (
            f"{GOOD}server: {{deadline_seconds: .inf}}",
            "c.yaml:5: server.deadline_seconds: Infinity is not a finite number; accepted: a number above 0",
        ),
        (f"{GOOD}server: {{host: a b}}", "c.yaml:5: server.host: not a host; accepted: an address such as 127.0.0.1"),
        (f"{GOOD}server: {{host: 5}}", "c.yaml:5: server.host: 5 is not text; accepted: text"),
        (
            f"{GOOD}server: {{host: 0.0.0.0}}",
            'c.yaml:5: server.host: "0.0.0.0" can be reached from other machines, and no key is configured; accepted: '
            "a loopback address, at least one key under auth.keys, or auth.mode: none written in the file",
        ),
        (
            f"{GOOD}server: {{host: gateway.example}}\nauth: {{mode: keys, keys: []}}",
            'c.yaml:5: server.host: "gateway.example" can be reached from other machines, and no key is configured',
        ),
        (
            f"{GOOD}server: {{trusted_proxies: [10.0.0.0/33]}}",
            "c.yaml:5: server.trusted_proxies[0]: not an address range; accepted: an address range such as 10.0.0.0/8",
        ),
        (
            f"{GOOD}network:\n  allow_private:\n    - 10.0.0.0/8\n    - 10.1.2.3/8",
            "c.yaml:8: network.allow_private[1]: the address has bits beyond its prefix; accepted: 10.0.0.0/8, or 10.1",
        ),
        (
            f"{GOOD}network: {{allow_private: [7]}}",
            "c.yaml:5: network.allow_private[0]: not an address range; accepted",
        ),
        (f"{GOOD}server: {{cors_origins: [a.example]}}", "c.yaml:5: server.cors_origins[0]: not an origin; accepted: "),
        (
            f"{GOOD}server: {{cors_origins: a}}",
            "c.yaml:5: server.cors_origins: not a list; accepted: a list, each text",
        ),
        (
            f"{GOOD}server: {{public_url: ftp://a}}",
            "c.yaml:5: server.public_url: not an http(s) URL; accepted: http://",
        ),
        (f"{GOOD}server: {{public_url: 'http://a/\"'}}", "c.yaml:5: server.public_url: not an http(s) URL; accepted: "),
        (f"{GOOD}server: {{public_url: 'http://a:x'}}", "c.yaml:5: server.public_url: not an http(s) URL; accepted: "),
        (f"{GOOD}server: {{public_url: 'http://a/?b'}}", "c.yaml:5: server.public_url: a URL with a query or a fragm"),
        (
            f"{GOOD}normalization: {{strict: 1}}",
            "c.yaml:5: normalization.strict: 1 is not true or false; accepted: true",
        ),
        (f"{GOOD}normalization: {{strict: maybe}}", 'c.yaml:5: normalization.strict: "maybe" is not true or false'),
        (
            f"{GOOD}normalization: {{default_response_format: base64}}",
            'c.yaml:5: normalization.default_response_format: "base64" is not accepted; accepted: auto, url, b64_json',
        ),
        (f"{GOOD}auth: {{mode: open}}", 'c.yaml:5: auth.mode: "open" is not accepted; accepted: keys, none'),
        (f"{GOOD}auth: [a]", "c.yaml:5: auth: not a mapping; accepted: a mapping of mode, admin_key, keys"),
        (
            f"{GOOD}auth: {{keys: [{{name: a, key: 'sha256:abc'}}]}}",
            "c.yaml:5: auth.keys[0].key: not a SHA-256 digest; accepted: sha256: and 64 hexadecimal digits, or the key",
        ),
        (f"{GOOD}auth: {{keys: [{{name: a}}]}}", "c.yaml:5: auth.keys[0].key: missing; accepted: text"),
        (
            f"{GOOD}auth: {{keys: [{{name: a, key: ''}}]}}",
            "c.yaml:5: auth.keys[0].key: the secret is empty, or holds a",
        ),
        (
            f"{GOOD}auth:\n  keys:\n    - {{name: a, key: b}}\n    - {{name: a, key: c}}",
            'c.yaml:8: auth.keys[1].name: "a" is the name of auth.keys[0] too; accepted: another name for each key',
        ),
        (
            f"{GOOD}auth:\n  keys:\n    - {{name: a, key: b}}\n    - {{name: c, key: b}}",
            "c.yaml:8: auth.keys[1].key: the same key as auth.keys[0].key; accepted: a key of its own",
        ),
        (
            f"{GOOD}auth: {{admin_key: b, keys: [{{name: a, key: b}}]}}",
            "c.yaml:5: auth.keys[0].key: the same key as auth.admin_key; accepted: a key of its own",
        ),
        (
            f"{GOOD}state: {{url: 'redis://h'}}",
            "c.yaml:1: storage.signing_key: missing; what lies in the Redis server of state.url is sealed with it; acc",
        ),
        (f"{KEYED}state: {{url: 'redis:///0'}}", "c.yaml:6: state.url: not a Redis URL; accepted: redis://[USER:PASS"),
        (f"{KEYED}state: {{url: 'redis://h:0'}}", "c.yaml:6: state.url: not a Redis URL; accepted: redis://[USER:PASS"),
        (f"{KEYED}state: {{url: 'redis://h/a'}}", "c.yaml:6: state.url: its path is not the number of a database; acc"),
        (f"{KEYED}state: {{url: 'redis://h?a=1'}}", "c.yaml:6: state.url: an option that is not known here; accepted:"),
        (
            f"{KEYED}state: {{url: 'redis://h?prefix=*'}}",
            "c.yaml:6: state.url: its prefix cannot begin keys; accepted: 1 to 64 letters, digits and . _ : -, such as",
        ),
        (
            f"{KEYED}state: {{url: 'redis://h?timeout=0'}}",
            "c.yaml:6: state.url: its timeout is none; accepted: 0.05 to 10 seconds, such as timeout=0.25",
        ),
        (f"{GOOD}state: {{url: mysql}}", "c.yaml:5: state.url: not a place for state; accepted: sqlite, redis:"),
        (
            f"{GOOD}storage: {{url: 's3:///p'}}",
            "c.yaml:5: storage.url: there is no bucket in it; accepted: s3://BUCKET/PREFIX,",
        ),
        (f"{GOOD}storage: {{url: 's3://B/p'}}", "c.yaml:5: storage.url: its bucket has no bucket's name; accepted: 3 "),
        (f"{GOOD}storage: {{url: 'gs://bbb/../p'}}", "c.yaml:5: storage.url: its prefix cannot be part of a key; acc"),
        (f"{GOOD}storage: {{url: 'az://bbb/p?q=1'}}", "c.yaml:5: storage.url: its prefix cannot be part of a key; acc"),
        (f"{GOOD}storage: {{url: disk}}", "c.yaml:5: storage.url: not a place for pictures; accepted: file, memory, s"),
        (
            f"{GOOD}storage: {{url_ttl_seconds: 604801}}",
            "c.yaml:5: storage.url_ttl_seconds: 604801 is out of range; ac",
        ),
        (
            with_provider("{type: scetch}"),
            'c.yaml:3: providers.x.type: "scetch" is no type (did you mean "sketch"?); acce',
        ),
        (
            with_provider("{}"),
            "c.yaml:3: providers.x.type: missing; accepted: sketch, flux_worker, apiframe, onemin, modelv",
        ),
        (
            with_provider("{type: 7}"),
            "c.yaml:3: providers.x.type: 7 is not text; accepted: sketch, flux_worker, apiframe",
        ),
        (
            with_provider("sketch"),
            "c.yaml:3: providers.x: not a mapping; accepted: a mapping of type, base_url, base_urls",
        ),
        (
            with_provider("{type: sketch, poll_seconds: {first: 1}}"),
            'c.yaml:3: providers.x.poll_seconds: unknown key for type "sketch"',
        ),
        (
            with_provider("{type: apiframe, base_urls: ['http://a']}"),
            'c.yaml:3: providers.x.base_urls: unknown key for type "apiframe" (did you mean "base_url"?); accepted: ty',
        ),
        (
            with_provider("{type: openai, base_url: 'http://a', base_ulr: b}"),
            'c.yaml:3: providers.x.base_ulr: unknown key for type "openai" (did you mean "base_url"?); accepted: type',
        ),
        (
            with_provider("{type: openai}"),
            "c.yaml:3: providers.x.base_url: missing; type openai has no public address; acce",
        ),
        (
            with_provider("{type: flux_worker}"),
            "c.yaml:3: providers.x.base_url: missing; type flux_worker has no public address; accepted: an address as "
            "base_url, or base_urls for several workers",
        ),
        (
            with_provider("{type: flux_worker, base_url: 'http://a', base_urls: ['http://b']}"),
            "c.yaml:3: providers.x.base_urls: base_url stands there too; accepted: one of them",
        ),
        (
            with_provider("{type: apiframe, poll_seconds: {first: 9}}"),
            "c.yaml:3: providers.x.poll_seconds: max is shorter than first; accepted: first <= max, in seconds",
        ),
        (
            with_provider("{type: sketch, headers: {Host: a}}"),
            "c.yaml:3: providers.x.headers: a header that cannot be set; accepted: header names other than accept-enc",
        ),
        (
            with_provider('{type: sketch, headers: {X-A: "a\\nb"}}'),
            "c.yaml:3: providers.x.headers: a header's value holds a control or non-ASCII character; accepted: print",
        ),
        (
            GOOD.replace("drawn", "max"),
            "c.yaml:2: providers.max: the name means something else in provider_options; accepted: any but audio, imag",
        ),
        (GOOD.replace("drawn", "a/b"), "c.yaml:2: providers.a/b: not a provider's name; accepted: up to 64 letters, d"),
        (
            "providers: {}\n" + GOOD[GOOD.index("models") :],
            "c.yaml:1: providers: nothing in it; accepted: a mapping of",
        ),
        (GOOD[: GOOD.index("models")], "c.yaml:1: models: missing; accepted: a mapping of names"),
        (
            with_model("{routes: []}"),
            "c.yaml:5: models.m.routes: nothing in it; accepted: a list, each a mapping of provider",
        ),
        (
            with_model("{}"),
            "c.yaml:5: models.m.routes: missing; accepted: a list, each a mapping of provider, model, price",
        ),
        (
            GOOD.replace("picture", "'flux*'"),
            "c.yaml:4: models.flux*: a name holds no *, ? or [; accepted: an exact name; globs go under aliases",
        ),
        (
            with_route("{provider: drwan, model: s}"),
            'c.yaml:5: models.m.routes[0].provider: no provider is named "drwan" (did you mean "drawn"?); accepted: dr',
        ),
        (
            GOOD.replace("picture", "flux.2").replace("provider: drawn", "provider: x"),
            'c.yaml:4: models."flux.2".routes[0].provider: no provider is named "x"; accepted: drawn',
        ),
        (with_route("{provider: drawn}"), "c.yaml:5: models.m.routes[0].model: missing; accepted: text"),
        (
            with_route("{provider: drawn, model: ' s'}"),
            "c.yaml:5: models.m.routes[0].model: the text is empty, begins or e",
        ),
        (
            with_route("{provider: drawn, model: s, price: {usd_per_image: -0.01}}"),
            "c.yaml:5: models.m.routes[0].price.usd_per_image: -0.01 is below 0; accepted: a number of US dollars",
        ),
        (
            with_route("{provider: drawn, model: s, price: {usd_per_image: .nan}}"),
            "c.yaml:5: models.m.routes[0].price.usd_per_image: NaN is not a finite number; accepted: a number of at le",
        ),
        (
            with_route("{provider: drawn, model: s, price: {usd_per_image: cheap}}"),
            'c.yaml:5: models.m.routes[0].price.usd_per_image: "cheap" is not a number; accepted: a number of at least',
        ),
        (
            with_route("{provider: drawn, model: s, price: {usd_per_image: true}}"),
            "c.yaml:5: models.m.routes[0].price.usd_per_image: not a price; accepted: a number of US dollars",
        ),
        (
            with_route("{provider: drawn, model: s, price: {}}"),
            "c.yaml:5: models.m.routes[0].price: a price without a number; accepted: usd_per_image, usd_per_megapixel",
        ),
        (
            with_route("{provider: drawn, model: s, defaults: {guidance_scale: 3}}"),
            "c.yaml:5: models.m.routes[0].defaults.guidance_scale: unknown key, or a parameter that can have no de",
        ),
        (
            with_route("{provider: drawn, model: s, defaults: {steps: 0}}"),
            "c.yaml:5: models.m.routes[0].defaults.steps: 0 cannot be used; accepted: an integer from 1 to 1000",
        ),
        (
            with_model("{aliases: [picture], routes: [{provider: drawn, model: s}]}"),
            'c.yaml:5: models.m.aliases[0]: "picture" is a model\'s own name; accepted: a name that leads to one model',
        ),
        (
            with_model("{aliases: ['a*', 'a*'], routes: [{provider: drawn, model: s}]}"),
            'c.yaml:5: models.m.aliases[1]: "a*" stands under models.m.aliases[0] too; accepted: a name that leads to',
        ),
        (
            with_model("{aliases: [3], routes: [{provider: drawn, model: s}]}"),
            "c.yaml:5: models.m.aliases[0]: 3 is not text",
        ),
        (
            f"{GOOD}default_model: pictrue",
            'c.yaml:5: default_model: no model is named "pictrue" (did you mean "picture"?); accepted: picture',
        ),
        (
            with_model("{aliases: ['a-*'], routes: [{provider: drawn, model: s}]}") + "default_model: a-*",
            "c.yaml:6: default_model: a name holds no *, ? or [; accepted: an exact name",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    lines = refusal(tmp_path, text)
    assert len(lines) == 1, lines
    assert lines[0].startswith(expected)
    assert "accepted: " in lines[0]


def test_every_mistake_is_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
server:
  port: 70000
  hots: a
auth:
  admin_key: ${MISSING}
providers:
  drawn: {type: sketch, colour: red}
models:
  picture:
    aliases: [other, other]
    routes:
      - {provider: drwan, model: sketch, wieght: 1}
default_model: pictures
"""
    lines = refusal(tmp_path, text)
    assert [line.split(": ")[:2] for line in lines] == [
        ["c.yaml:2", "server.port"],
        ["c.yaml:3", "server.hots"],
        ["c.yaml:5", "auth.admin_key"],
        ["c.yaml:7", "providers.drawn.colour"],
        ["c.yaml:10", "models.picture.aliases[1]"],
        ["c.yaml:12", "models.picture.routes[0].provider"],
        ["c.yaml:12", "models.picture.routes[0].wieght"],
        ["c.yaml:13", "default_model"],
    ]
