import { expect, test } from "vitest";
import { type Beside, IoError, type IoLine, NearLine } from "./index.ts";

/** A near service that says what it hears, has the one beside it do what begins with "!", and fails at "?". */
function nearLine() {
  const received: string[] = [];
  const sentBeside: string[] = [];
  let room = 1;
  const line: IoLine = {
    greeting: new Uint8Array(0),
    send: (...parts) => room-- > 0 && sentBeside.push(textOf(parts[0])) > 0,
    onMessage: () => {},
    onRoom: () => {},
    pause: () => {},
    resume: () => {},
    linger: () => {},
    borrow: () => undefined,
  };
  let closed = 0;
  const near = new NearLine(
    {
      beside: { service: "beside", config: undefined },
      open: (port, beside: Beside) => {
        beside.onMessage = (message) => port.send(message);
        return {
          receive: (message) => {
            if (message[0] === 0x3f) throw new Error("it cannot be read");
            if (message[0] === 0x21) beside.send(message);
            else port.send(message);
          },
          close: () => void closed++,
        };
      },
    },
    line,
  );
  near.onMessage = (message) => void received.push(textOf(message));
  const giveRoom = (count: number): void => {
    room = count;
    line.onRoom();
  };
  return { near, line, received, sentBeside, giveRoom, closed: () => closed };
}

const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

test("an answer is there when what was sent is, and what was sent early is answered when the service opens", () => {
  const { near, received } = nearLine();
  near.send(bytes("ear"));
  expect(received).toEqual([]);
  near.open(new Uint8Array(0));
  near.send(bytes("a"), bytes("b"));
  expect(received).toEqual(["ear", "ab"]);
});

test("what goes beside keeps its order where there is no room, and its answers come by the line", () => {
  const { near, line, received, sentBeside, giveRoom } = nearLine();
  near.open(new Uint8Array(0));
  for (const text of ["!1", "!2", "!3"]) near.send(bytes(text));
  expect(sentBeside).toEqual(["!1"]);
  giveRoom(1);
  near.send(bytes("!4"));
  giveRoom(9);
  expect(sentBeside).toEqual(["!1", "!2", "!3", "!4"]);
  line.onMessage(bytes("!1 done"));
  expect(received).toEqual(["!1 done"]);
});

test("a service that fails is told of at the next look, and asked no more", () => {
  const { near, received, closed } = nearLine();
  near.open(new Uint8Array(0));
  near.send(bytes("?"));
  near.send(bytes("a"));
  expect(received).toEqual([]);
  expect(() => near.poll()).toThrow(IoError);
  expect(() => near.poll()).toThrow("it cannot be read");
  near.close();
  expect(closed()).toBe(1);
});
