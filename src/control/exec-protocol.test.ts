import { expect, test } from "vitest";
import { ExecProtocol } from "./exec-protocol.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder("latin1").decode(data);

/** A protocol whose events are written down as `what:text`, and short ways to play the guest. */
function scene() {
  const log: string[] = [];
  const say = (what: string) => (data: Uint8Array) => void log.push(`${what}:${text(data)}`);
  const protocol = new ExecProtocol({
    send: (port, data) => say(port)(data),
    stdout: say("out"),
    stderr: say("err"),
    ready: () => void log.push("ready"),
    wantInput: () => void log.push("want input"),
    exit: (status) => void log.push(`exit:${status}`),
  });
  const guest = (line: string): void => protocol.receive("control", bytes(`${line}\n`));
  const events = (): string[] => log.splice(0);
  return { protocol, guest, events };
}

function running() {
  const all = scene();
  all.guest("ready");
  all.protocol.exec("true");
  all.guest("want");
  all.guest("want");
  all.events();
  return all;
}

test("a command goes to the guest in pieces that it asks for, then input, output and the status flow", () => {
  const { protocol, guest, events } = scene();
  expect(protocol.exec("early")).toBe(false);
  guest("ready");
  expect(protocol.exec("cat")).toBe(true);
  expect(events()).toEqual(["ready", "control:exec\n"]);
  guest("want");
  guest("want");
  expect(events()).toEqual(["stdio:3\n", "stdio:cat", "stdio:0\n"]);
  guest("want");
  protocol.input(bytes("hello"));
  guest("want");
  expect(events()).toEqual(["want input", "stdio:5\n", "stdio:hello", "want input"]);
  protocol.endInput();
  protocol.receive("stdio", bytes("hello"));
  protocol.receive("stderr", bytes("oops"));
  guest("exit 3");
  guest("ready");
  expect(events()).toEqual(["stdio:0\n", "out:hello", "err:oops", "exit:3", "ready"]);
});

test("a command that ends with its input unread still has the stream ended, once", () => {
  const { protocol, guest, events } = running();
  guest("want");
  protocol.input(bytes("x".repeat(5000)));
  expect(events().map((each) => each.slice(0, 12))).toEqual(["want input", "stdio:4096\n", "stdio:xxxxxx"]);
  guest("exit 0");
  protocol.input(bytes("more"));
  protocol.endInput();
  guest("want");
  expect(events()).toEqual(["stdio:0\n", "exit:0"]);
});

test("nothing is sent that the guest did not ask for", () => {
  const { protocol, events } = running();
  protocol.input(bytes("early"));
  protocol.endInput();
  expect(events()).toEqual([]);
});

test("a command with a NUL, or longer than Linux takes, is refused", () => {
  const { protocol, guest } = scene();
  guest("ready");
  expect(protocol.exec("a\0b")).toBe(false);
  expect(protocol.exec("x".repeat(1 << 17))).toBe(false);
});

test("a guest that is reset begins anew", () => {
  const { protocol, guest, events } = running();
  protocol.input(bytes("lost"));
  guest("ready");
  expect(protocol.exec("true")).toBe(true);
  expect(events()).toEqual(["ready", "control:exec\n"]);
});

test("any bytes from the guest are accepted", () => {
  const { protocol, guest, events } = running();
  let seed = 1;
  for (let i = 0; i < 2000; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    const noise = Uint8Array.from({ length: seed % 40 }, (_, j) => (seed >>> (j % 24)) & 0xff);
    protocol.receive((["stdio", "stderr", "control"] as const)[seed % 3], noise);
  }
  guest("");
  guest("x".repeat(100_000));
  guest("exit -1");
  guest("exit 1e3");
  expect(events().some((each) => each.startsWith("exit"))).toBe(false);
});
