/**
 * The machine's end of the line to far memory (memory/backends/remote): the thread stands still in mid-instruction until a page is there,
 * and nothing of the machine moves meanwhile.
 *
 * Law: a machine that is to end does so, however long it would wait.
 */
import type { IoLine } from "#devices";
import type { FarLine } from "#memory";
import type { MachineHost } from "./machine-host.ts";

/** What may wait on the line, each way. */
export const farRingBytes = 1 << 20;

/** Thrown out of whatever waits for a page: the machine is to end. */
export class StoppedWaiting extends Error {
  override name = "StoppedWaiting";
}

/** `poll` hands out what has come on the line. */
export function farLine(
  line: Pick<IoLine, "send" | "linger" | "onMessage">,
  poll: () => void,
  host: Pick<MachineHost, "waitFor">,
): FarLine {
  let handedOut = 0;
  const far: FarLine = {
    onMessage: () => {},
    send: (...parts) => line.send(...parts),
    wait: () => {
      const before = handedOut;
      let looks = 0;
      line.linger();
      const found = (): boolean => {
        poll();
        // Woken without a message: there may be room to send.
        return handedOut !== before || ++looks > 1;
      };
      if (!host.waitFor(found)) throw new StoppedWaiting();
    },
  };
  line.onMessage = (message) => {
    handedOut++;
    far.onMessage(message);
  };
  return far;
}
