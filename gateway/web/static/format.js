// Numbers and times as people read them.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

/** 12345 -> "12,345" in the reader's own manner. */
export const count = (number) => whole.format(number ?? 0);

/** Micros of a US dollar: 70000 -> "$0.07"; what is not known is said to be unknown, never free. */
export function money(micros) {
  if (micros === null || micros === undefined) return "unknown";
  return dollars(micros / 1e6);
}

/** US dollars: 0.07 -> "$0.07", 0.00125 -> "$0.00125", 0 -> "$0". */
export function dollars(usd) {
  if (usd === null || usd === undefined) return "unknown";
  if (usd === 0) return "$0";
  const digits = Math.abs(usd) >= 0.01 ? 2 : 6;
  const exact = Math.abs(usd) >= 0.01 && Math.abs(Math.round(usd * 100) / 100 - usd) > 1e-9 ? 4 : digits;
  return new Intl.NumberFormat(undefined, {
    style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", minimumFractionDigits: 2, maximumFractionDigits: exact,
  }).format(usd);
}

/** 0.42 -> "0.42 s", 12.3 -> "12.3 s", 90 -> "1 min 30 s"; null -> "–". */
export function seconds(number) {
  if (number === null || number === undefined) return "–";
  if (number < 10) return `${number.toFixed(2)} s`;
  if (number < 60) return `${number.toFixed(1)} s`;
  if (number < 3600) return `${Math.floor(number / 60)} min ${Math.round(number % 60)} s`;
  if (number < 86400) return `${Math.floor(number / 3600)} h ${Math.floor((number % 3600) / 60)} min`;
  return `${Math.floor(number / 86400)} d ${Math.floor((number % 86400) / 3600)} h`;
}

/** 123456 -> "121 KB". */
export function bytes(number) {
  if (number === null || number === undefined) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let step = 0;
  let size = number;
  while (size >= 1024 && step < units.length - 1) [size, step] = [size / 1024, step + 1];
  return `${size < 10 && step ? size.toFixed(1) : Math.round(size)} ${units[step]}`;
}

/** 0.987 -> "98.7 %"; null -> "–". */
export const percent = (share) => (share === null || share === undefined ? "–" : `${(share * 100).toFixed(share === 1 || share === 0 ? 0 : 1)} %`);

/** Epoch milliseconds: "just now", "5 min ago", "in 2 h", and the date where it is further away. */
export function ago(when, now = Date.now()) {
  const away = Math.abs(now - when) / 1000;
  if (away < 45) return when > now ? "in a moment" : "just now";
  if (away > 7 * 86400) return new Date(when).toLocaleDateString();
  const [number, unit] = away < 5400 ? [away / 60, "min"] : away < 129600 ? [away / 3600, "h"] : [away / 86400, "d"];
  return when > now ? `in ${Math.round(number)} ${unit}` : `${Math.round(number)} ${unit} ago`;
}
