/** `memvisor relay`. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { exitStatus, type relayCommand, type ValuesOf } from "#control";
import { startRelay } from "#host/relay";
import { NetworkError, parseAllow } from "#net/rules";
import { Failure } from "./failure.ts";
import { listenPlace } from "./listen-place.ts";

const defaultPort = 8765;

export async function relay(values: ValuesOf<typeof relayCommand>): Promise<number> {
  const { address, port } = listenPlace(values.listen, defaultPort);
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
