/**
 * An archive's Release file: which lists it has, how long they are good, what their checksums are
 * (Debian wiki, "DebianRepository/Format"). Its text comes here verified; nothing in it is believed otherwise.
 */
import { ImageError } from "../image-error.ts";
import { parseStanza } from "./stanza.ts";

export interface ListFile {
  /** From the folder of the suite. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface Release {
  readonly files: ReadonlyMap<string, ListFile>;
  /** Whether lists can be fetched by their checksum, so that a mirror's update in between does no harm. */
  readonly byHash: boolean;
}

/** A clock that is a little behind the archive's is no reason to refuse it. */
const skewMs = 24 * 3600 * 1000;

/** Requires: `text` is verified. Refuses one that is for another suite, has expired, or is from the future. */
export function parseRelease(text: string, suite: string, nowMs: number): Release {
  const fields = parseStanza(text.replaceAll("\r\n", "\n"));
  const of = (name: string): string => fields.get(name) ?? "";
  if (![of("codename"), of("suite")].includes(suite)) {
    throw new ImageError(
      "corrupt-index",
      `the mirror answers for "${suite}" with the lists of "${of("codename") || of("suite")}": pass another --mirror`,
    );
  }
  const until = Date.parse(of("valid-until"));
  if (until < nowMs) {
    throw new ImageError(
      "expired",
      `the lists of ${suite} were good until ${of("valid-until")}: check the clock, or pass another --mirror`,
    );
  }
  if (Date.parse(of("date")) > nowMs + skewMs) {
    throw new ImageError("expired", `the lists of ${suite} are from the future, ${of("date")}: check the clock`);
  }
  return { files: parseChecksums(of("sha256")), byHash: of("acquire-by-hash").toLowerCase() === "yes" };
}

function parseChecksums(text: string): Map<string, ListFile> {
  const files = new Map<string, ListFile>();
  for (const line of text.split("\n")) {
    const match = /^\s*([0-9a-f]{64})\s+(\d+)\s+(\S+)$/i.exec(line);
    if (match) files.set(match[3], { sha256: match[1].toLowerCase(), sizeBytes: Number(match[2]), path: match[3] });
  }
  return files;
}
