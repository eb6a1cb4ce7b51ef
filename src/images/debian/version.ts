/**
 * The order of Debian versions: `[epoch:]upstream[-revision]` (Debian Policy, "Version").
 * Digits compare as numbers, the rest by letters before other signs, and `~` comes before even the end.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  return (
    left.epoch - right.epoch || comparePart(left.upstream, right.upstream) || comparePart(left.revision, right.revision)
  );
}

/** Whether `version relation wanted` holds; an unknown relation holds for nothing. */
export function satisfies(version: string, relation: string, wanted: string): boolean {
  const order = compareVersions(version, wanted);
  switch (relation) {
    case "<<":
      return order < 0;
    case "<=":
      return order <= 0;
    case "=":
      return order === 0;
    case ">=":
      return order >= 0;
    case ">>":
      return order > 0;
    default:
      return false;
  }
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = colon < 0 ? version : version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)) || 0,
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

function comparePart(a: string, b: string): number {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a[i])) || (j < b.length && !isDigit(b[j]))) {
      const order = weight(a[i]) - weight(b[j]);
      if (order) return order;
      i++;
      j++;
    }
    const [m, n] = [endOfDigits(a, i), endOfDigits(b, j)];
    const [x, y] = [a.slice(i, m).replace(/^0+/, ""), b.slice(j, n).replace(/^0+/, "")];
    const order = x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
    if (order) return order;
    i = m;
    j = n;
  }
  return 0;
}

const isDigit = (sign: string | undefined): boolean => sign !== undefined && sign >= "0" && sign <= "9";

function endOfDigits(text: string, start: number): number {
  let end = start;
  while (isDigit(text[end])) end++;
  return end;
}

function weight(sign: string | undefined): number {
  if (sign === "~") return -1;
  if (sign === undefined || isDigit(sign)) return 0;
  return /[A-Za-z]/.test(sign) ? sign.charCodeAt(0) : sign.charCodeAt(0) + 256;
}
