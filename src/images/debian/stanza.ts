/**
 * Debian's control format: stanzas of `Field: value`, a line that starts with a blank goes on with the field before it,
 * an empty line ends a stanza (Debian Policy, "Syntax of control files"). Field names do not mind case; ours are lower.
 */
export type Stanza = ReadonlyMap<string, string>;

export function parseStanza(text: string): Stanza {
  const fields = new Map<string, string>();
  let last = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (last) fields.set(last, `${fields.get(last)}\n${line.slice(1)}`);
      continue;
    }
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    last = line.slice(0, colon).toLowerCase();
    fields.set(last, line.slice(colon + 1).trim());
  }
  return fields;
}

export function parseStanzas(text: string): Stanza[] {
  return text
    .replaceAll("\r\n", "\n")
    .split(/\n[ \t]*\n/)
    .map(parseStanza)
    .filter((stanza) => stanza.size > 0);
}
