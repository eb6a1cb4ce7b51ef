/** A secret, that of page servers and their machines or of a snapshot: the first line of a file, so that it is in no list of processes. */
import { readFileSync } from "node:fs";

/** The message says what is wrong with the file. */
export class SecretError extends Error {
  override name = "SecretError";
}

export function readSecret(path: string): string {
  try {
    const [line = ""] = readFileSync(path, "utf8").split("\n");
    if (line.trim() !== "") return line.trim();
  } catch (error) {
    throw new SecretError(`${path}: ${(error as Error).message}`);
  }
  throw new SecretError(`${path}: its first line is empty: write a secret there`);
}
