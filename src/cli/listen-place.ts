/** Where a server of ours listens: `--listen`. */
import { exitStatus } from "#control";
import { Failure } from "./failure.ts";

export function listenPlace(
  text: string | undefined,
  defaultPort: number,
): { readonly address: string; readonly port: number } {
  const match = /^(?:([\d.]+|localhost):)?(\d{1,5})$/.exec(text ?? `${defaultPort}`);
  const port = Number(match?.[2]);
  if (!match || port > 65535) {
    throw new Failure(`--listen ${text}: write it as 127.0.0.1:${defaultPort}`, exitStatus.usage);
  }
  return { address: match[1] ?? "127.0.0.1", port };
}
