/**
 * The agent: runs the host's commands in the guest. One process, one line to the host, one loop around poll(2).
 *
 * It is written in AssemblyScript and made into a static Linux program at installation (tools/agent/), so it needs nothing of
 * the guest but a kernel. Arguments: the device that leads to the host; without one, standard input and output. With "!PROGRAM" it
 * becomes that program, whose signals then do what they do by themselves: a shell cannot give that to what it starts.
 */
import { entropyBytes, setClock, stirRandom } from "./awake";
import {
  close,
  EINTR,
  exit,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDWR,
  open,
  POLLIN,
  POLLOUT,
  poll,
  become,
  powerOff,
  read,
  reap,
  resetSignalHandlers,
  setNonBlocking,
  watchChildren,
} from "./kernel";
import { at, busy, credit, ended, input, pumpInput, pumpOutput, resize, sessionCount, signal, start } from "./session";
import { makeRaw, openConsole, setSize } from "./terminal";
import {
  CREDIT,
  dropFrame,
  firstFrame,
  flush,
  HELLO,
  hasRoom,
  hasUnsent,
  headerSize,
  INPUT,
  openWire,
  POWER_OFF,
  RESIZE,
  RESTART,
  receive,
  SIGNAL,
  START,
  sendFrame,
  wireInput,
  wireOutput,
} from "./wire";

const version: u32 = 1;
/** In place of a session: the machine's console. */
const consoleSession: u32 = 0xffff;

/** struct pollfd: the line in, the line out, ended children, then three for each session. */
const entries = memory.data(1568);
const fixedEntries: u32 = 3;
const scratch = memory.data(128);

/** `device` is the address of a path, 0 for standard input and output; behind "!" it is a program to become. */
export function main(device: usize): void {
  resetSignalHandlers();
  if (device != 0 && load<u8>(device) == 33) {
    become(device + 1);
    exit(127);
  }
  if (device != 0) {
    const fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) exit(1);
    makeRaw(fd);
    openWire(fd, fd, true);
  } else {
    setNonBlocking(0);
    setNonBlocking(1);
    openWire(0, 1, false);
  }
  const children = watchChildren();
  sayHello(0);
  for (;;) {
    flush();
    const count = watch(children);
    if (poll(entries, count, -1) == EINTR) continue;
    if (eventsOf(2) != 0) takeEnded(children);
    if (eventsOf(0) != 0) {
      if (!receive()) exit(0);
      takeFrames();
    }
    for (let session: u32 = 0; session < sessionCount; session++) {
      const one = at(session);
      if (!one.used) continue;
      const entry = fixedEntries + 3 * session;
      const seen = entry < count;
      if (seen && eventsOf(entry) != 0) pumpInput(session);
      // What an ended command left in its pipes is read without waiting for it.
      if (!one.running) pumpOutput(session, 3);
      else if (seen) pumpOutput(session, (eventsOf(entry + 1) != 0 ? 1 : 0) | (eventsOf(entry + 2) != 0 ? 2 : 0));
    }
  }
}

/** Fills `entries`; gives back how many. */
function watch(children: i32): u32 {
  want(0, wireInput(), POLLIN);
  want(1, hasUnsent() ? wireOutput() : -1, POLLOUT);
  want(2, children, POLLIN);
  const room = hasRoom(32 * 1024);
  let count = fixedEntries;
  for (let session: u32 = 0; session < sessionCount; session++) {
    const one = at(session);
    const entry = fixedEntries + 3 * session;
    if (one.used) count = entry + 3;
    want(entry, one.used && one.inputLength > 0 ? one.input : -1, POLLOUT);
    want(entry + 1, one.used && room && one.outputCredit > 0 ? one.output : -1, POLLIN);
    want(entry + 2, one.used && room && one.errorsCredit > 0 ? one.errors : -1, POLLIN);
  }
  return count;
}

function want(entry: u32, fd: i32, events: u32): void {
  store<i32>(entries + (entry << 3), fd);
  store<u32>(entries + (entry << 3), events, 4);
}

function eventsOf(entry: u32): u32 {
  return load<u16>(entries + (entry << 3), 6);
}

function takeEnded(children: i32): void {
  while (read(children, scratch, 128) > 0) {}
  for (;;) {
    const pid = reap(scratch);
    if (pid <= 0) return;
    ended(pid, load<i32>(scratch));
  }
}

function takeFrames(): void {
  for (;;) {
    const frame = firstFrame();
    if (frame == 0) return;
    const kind: u32 = load<u8>(frame, 4);
    const session: u32 = load<u16>(frame, 6);
    if (session < sessionCount) {
      if (kind == START) start(session, frame);
      else if (kind == INPUT) input(session, frame);
      else if (kind == CREDIT) credit(session, frame);
      else if (kind == SIGNAL) signal(session, frame);
      else if (kind == RESIZE) resize(session, frame);
    } else if (session == consoleSession) {
      if (kind == POWER_OFF) powerOff();
      else if (kind == RESTART) restart(frame);
      else if (kind == RESIZE && load<u32>(frame) >= 4) resizeConsole(frame);
    }
    dropFrame();
  }
}

/** Another host is at the line. The payload is explained in control/agent/frames.ts. */
function restart(frame: usize): void {
  const size = load<u32>(frame);
  const payload = frame + headerSize;
  if (size < 20) return;
  setClock(payload + 4);
  if (size >= 20 + entropyBytes) stirRandom(payload + 20);
  sayHello(load<u32>(payload));
}

/** u32 version, u32 what the host sent to be told, u64 the sessions that have commands. */
function sayHello(token: u32): void {
  store<u32>(scratch, version);
  store<u32>(scratch, token, 4);
  store<u64>(scratch, busy(), 8);
  sendFrame(HELLO, consoleSession, scratch, 16);
}

function resizeConsole(frame: usize): void {
  const fd = openConsole();
  if (fd < 0) return;
  setSize(fd, load<u16>(frame + headerSize), load<u16>(frame + headerSize, 2));
  close(fd);
}
