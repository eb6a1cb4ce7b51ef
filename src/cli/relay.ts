/** `memvisor relay`. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { exitStatus, type relayCommand, type ValuesOf } from "#control";
import { startRelay } from "#host/relay";
import { NetworkError, parseAllow } from "#net/rules";
import { Failure } from "./failure.ts";

const defaultPort = 8765;

export async function relay(values: ValuesOf<typeof relayCommand>): Promise<number> {
  const { address, port } = place(values.listen ?? `${defaultPort}`);
  const token = values.token ?? randomBytes(16).toString("hex");
  const { origin: origins, allow, only } = values;
  try {
    const running = await startRelay({
      address,
      port,
      token,
      ...(origins && { origins }),
      ...(allow && { allow: allow.map(parseAllow) }),
      ...(only && { only: only.map(parseAllow) }),
    });
    console.log(`a relay for pages is at ws://${address}:${running.port}/#${token}`);
    await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
    await running.close();
    return exitStatus.success;
  } catch (error) {
    if (error instanceof NetworkError) throw new Failure(error.message, exitStatus.usage);
    throw error;
  }
}

function place(text: string): { readonly address: string; readonly port: number } {
  const match = /^(?:([\d.]+|localhost):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65535) {
    throw new Failure(`--listen ${text}: write it as 127.0.0.1:${defaultPort}`, exitStatus.usage);
  }
  return { address: match[1] ?? "127.0.0.1", port };
}
