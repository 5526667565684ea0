// What every client of npm shares: calls come in by standard input, what came of them goes out by standard output.

import { text } from "node:stream/consumers";

export async function told(spoken) {
  const { base_url: baseURL, calls } = JSON.parse(await text(process.stdin));
  const results = {};
  for (const [name, call] of Object.entries(calls)) results[name] = await spoken(baseURL, call);
  process.stdout.write(JSON.stringify(results));
}
