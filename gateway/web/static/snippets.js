// The same request, for elsewhere. A key is never part of it.

import { root } from "./api.js";

/** [[title, code]] for a body and the names of input pictures, `mask` saying whether there is one. */
export function snippets(body, names = [], mask = false) {
  const base = new URL("v1", root).href;
  return names.length ? edits(base, body, names, mask) : generations(base, body);
}

function generations(base, body) {
  const json = JSON.stringify(body, null, 2);
  return [
    ["curl", `curl -s ${base}/images/generations \\\n  -H "authorization: Bearer $IMAGEGATE_API_KEY" \\\n  -H "content-type: application/json" \\\n  -d ${quoted(json)}`],
    ["Python", python(base, body, "generate", [])],
    ["JavaScript", javascript(base, body, "generate", [])],
  ];
}

function edits(base, body, names, mask) {
  const fields = Object.entries(body).map(([name, value]) => `  --form-string ${quoted(`${name}=${typeof value === "object" ? JSON.stringify(value) : value}`)}`);
  const files = names.map((name) => `  -F ${quoted(`image[]=@"${name.replaceAll(/["\\]/g, "_")}"`)}`);
  return [
    ["curl", [`curl -s ${base}/images/edits`, '  -H "authorization: Bearer $IMAGEGATE_API_KEY"', ...fields, ...files, ...(mask ? ["  -F 'mask=@mask.png'"] : [])].join(" \\\n")],
    ["Python", python(base, body, "edit", names, mask)],
    ["JavaScript", javascript(base, body, "edit", names, mask)],
  ];
}

// What the libraries' own methods name; the rest goes by the way that each has for it.
const OWN = new Set(["model", "prompt", "n", "size", "quality", "style", "response_format", "output_format", "output_compression", "background", "moderation", "user", "input_fidelity"]);

function python(base, body, method, names, mask) {
  const own = Object.entries(body).filter(([name]) => OWN.has(name));
  const rest = Object.fromEntries(Object.entries(body).filter(([name]) => !OWN.has(name)));
  const lines = own.map(([name, value]) => `    ${name}=${literal(value)},`);
  if (names.length) lines.push(`    image=[${names.map((name) => `open(${literal(name)}, "rb")`).join(", ")}],`);
  if (mask) lines.push('    mask=open("mask.png", "rb"),');
  if (Object.keys(rest).length) lines.push(`    extra_body=${literal(rest)},`);
  return `import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${literal(base)}, api_key=os.environ.get("IMAGEGATE_API_KEY", "none"))\nanswer = client.images.${method}(\n${lines.join("\n")}\n)\nfor picture in answer.data:\n    print(picture.url)`;
}

function javascript(base, body, method, names, mask) {
  const parts = Object.entries(body).map(([name, value]) => `  ${name}: ${JSON.stringify(value)},`);
  if (names.length) parts.push(`  image: [${names.map((name) => `fs.createReadStream(${JSON.stringify(name)})`).join(", ")}],`);
  if (mask) parts.push('  mask: fs.createReadStream("mask.png"),');
  return `${names.length ? 'import fs from "node:fs";\n' : ""}import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: process.env.IMAGEGATE_API_KEY ?? "none" });\nconst answer = await client.images.${method}({\n${parts.join("\n")}\n});\nfor (const picture of answer.data) console.log(picture.url);`;
}

function literal(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${literal(name)}: ${literal(each)}`).join(", ")}}`;
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value);
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
