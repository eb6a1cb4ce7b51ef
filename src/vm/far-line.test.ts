import { expect, test } from "vitest";
import { farLine, StoppedWaiting } from "./far-line.ts";

/** A line whose service answers when it is looked at for the n-th time, and a machine that is to stop then. */
function waiting({ answersAt = Number.POSITIVE_INFINITY, stopsAt = Number.POSITIVE_INFINITY }) {
  let looks = 0;
  const line = {
    send: () => true,
    onMessage: (_: Uint8Array<ArrayBuffer>) => {},
    linger: () => {},
  };
  const poll = (): void => {
    looks++;
    if (looks === answersAt) line.onMessage(Uint8Array.of(7));
  };
  const far = farLine(line, poll, {
    waitFor: (done) => {
      while (!done()) if (looks >= stopsAt) return false;
      return true;
    },
  });
  const received: Uint8Array[] = [];
  far.onMessage = (message) => void received.push(message);
  return { far, received };
}

test("who waits for a page gets what has come", () => {
  const { far, received } = waiting({ answersAt: 1 });
  far.wait();
  expect(received).toEqual([Uint8Array.of(7)]);
});

test("who waits in vain looks again when it is woken, since there may be room to send", () => {
  const { far, received } = waiting({});
  far.wait();
  expect(received).toEqual([]);
});

test("a machine that is to stop does not wait for ever", () => {
  const { far } = waiting({ stopsAt: 1 });
  expect(() => far.wait()).toThrow(StoppedWaiting);
});
