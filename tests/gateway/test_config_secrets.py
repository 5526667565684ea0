"""A refused configuration is quoted only where a quotation can give nothing away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.configurations import GOOD, refusal, with_model, with_provider, with_route

SECRET = "s3cr3t-canary-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"{GOOD}auth: {{admin_key: [{SECRET}]}}",
        f"{GOOD}auth: {{admin_key: '{SECRET} '}}",
        f"{GOOD}auth: {{admin_key: !{SECRET} x}}",
        f"{GOOD}auth: {{admin_key: *{SECRET}}}",
        f"{GOOD}auth: {{admin_key: '{SECRET}}}",
        f"{GOOD}auth: {{admin_keys: {SECRET}}}",
        f"{GOOD}auth: {{keys: [{SECRET}]}}",
        f"{GOOD}auth: {{keys: [{{name: a, key: 'sha256:{SECRET}'}}]}}",
        f"{GOOD}auth: {{keys: [{{name: a, key: {SECRET}}}, {{name: b, key: {SECRET}}}]}}",
        f"{GOOD}storage: {{signing_key: [{SECRET}]}}",
        f"{GOOD}state: {{url: 'redis://:{SECRET}@h'}}",
        f"{GOOD}storage: {{url: 's3://{SECRET}@b'}}",
        with_provider(f"{{type: openai, base_url: 'http://u:{SECRET}@h'}}"),
        with_provider(f"{{type: openai, base_url: 'http://h/?key={SECRET}'}}"),
        with_provider(f"{{type: openai, base_url: ['{SECRET}']}}"),
        with_provider(f"{{type: openai, base_url: 'http://h', headers: {{Authorization: ['{SECRET}']}}}}"),
        with_provider(f'{{type: openai, base_url: "http://h", headers: {{Authorization: "{SECRET}\\n"}}}}'),
        with_provider(f"{{type: apiframe, api_key: {{a: {SECRET}}}}}"),
        with_provider(f"{{type: apiframe, apikey: {SECRET}}}"),
        f"{GOOD}server: {{port: '${{SECRET}}'}}",
        f"{GOOD}normalization: {{strict: '${{SECRET}}', default_response_format: '${{SECRET}}'}}",
        f"{GOOD}default_model: ${{SECRET}}",
        with_route("{provider: '${SECRET}', model: s, defaults: {steps: '${SECRET}'}}"),
        with_model(
            "{aliases: ['${SECRET}', '${SECRET}'], strategy: '${SECRET}', routes: [{provider: drawn, model: s}]}"
        ),
        with_provider("{type: '${SECRET}'}"),
        f"{GOOD}server: {{host: '${{SECRET}}'}}",
        f"{GOOD}auth: {{keys: [{{name: '${{SECRET}}', key: a}}, {{name: '${{SECRET}}', key: b}}]}}",
    ],
)
def test_no_secret_and_no_variables_value_is_ever_repeated(tmp_path: Path, text: str) -> None:
    lines = refusal(tmp_path, text, {"SECRET": SECRET})
    assert SECRET not in "\n".join(lines)
    assert all(line.startswith("c.yaml") for line in lines)
