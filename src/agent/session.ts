/**
 * The commands that run: up to 64 at once, each in a process group of its own, with three pipes or a pseudo terminal.
 *
 * Law: what a command prints is read only as far as the host has given credit, and what the host sends for its input is at
 * most `inputSize` ahead of what the command has taken: nothing grows, and one command never holds up another.
 */
import {
  becomeUser,
  chdir,
  close,
  dup2,
  EAGAIN,
  EINTR,
  execve,
  exit,
  kill,
  O_CLOEXEC,
  O_RDWR,
  open,
  pipe,
  read,
  SIGKILL,
  setNonBlocking,
  setSignalMask,
  setsid,
  vfork,
  write,
} from "./kernel";
import { openMaster, openSlave, setSize, takeTerminal } from "./terminal";
import { ERRORS, EXIT, FAILED, hasRoom, headerSize, OUTPUT, STARTED, sendFrame, sendNumber, TAKEN } from "./wire";

export const sessionCount: u32 = 64;
/** The host's first credit for each stream, and how far it may send ahead. */
const outputCredit: u32 = 256 * 1024;
const inputSize: u32 = 64 * 1024;
const chunk: u32 = 32 * 1024;

// @ts-ignore: decorator
@unmanaged
class Session {
  pid: i32;
  running: bool;
  used: bool;
  terminal: bool;
  inputEnded: bool;
  input: i32;
  output: i32;
  errors: i32;
  outputCredit: u32;
  errorsCredit: u32;
  inputStart: u32;
  inputLength: u32;
  status: i32;
}

const table = memory.data(4096);
const buffers = memory.data(4194304);
const pair = memory.data(8);
const piece = memory.data(32768);
const argv = memory.data(262144);
const envp = memory.data(262144);
const path = memory.data(8192);
/** Set by the child, whose memory is ours: the error and at which step, 1 the folder, 2 the program, 3 the user. */
let childError: i32 = 0;
let childStep: i32 = 0;

export function at(session: u32): Session {
  return changetype<Session>(table + (session << 6));
}

// @ts-ignore: decorator
@inline
function bufferOf(session: u32): usize {
  return buffers + session * inputSize;
}

/**
 * Starts a command. The payload: u8 flags (1 a terminal, 2 no input), 3 zero bytes, u16 rows, u16 columns, u32 user,
 * u32 group, u32 number of arguments, u32 number of variables; then the folder, the arguments and the variables, each
 * ended by a zero byte.
 */
export function start(session: u32, frame: usize): void {
  if (session >= sessionCount || at(session).used) return;
  const payload = frame + headerSize;
  const end = payload + load<u32>(frame);
  const failed = launch(session, payload, end);
  if (failed == 0) return;
  store<i32>(pair, childStep);
  store<i32>(pair, failed, 4);
  sendFrame(FAILED, session, pair, 8);
}

function launch(session: u32, payload: usize, end: usize): i32 {
  childStep = 0;
  const EINVAL = 22;
  if (end - payload < 24) return EINVAL;
  const flags = load<u32>(payload);
  const argc = load<u32>(payload, 16);
  const envc = load<u32>(payload, 20);
  const limit: u32 = 32767;
  if (argc < 1 || argc > limit || envc > limit) return EINVAL;
  const folder = payload + 24;
  let next = afterString(folder, end);
  next = listStrings(argv, argc, next, end);
  next = listStrings(envp, envc, next, end);
  if (next == 0) return EINVAL;

  const one = at(session);
  memory.fill(changetype<usize>(one), 0, 64);
  let childInput: i32 = -1;
  let childOutput: i32 = -1;
  let childErrors: i32 = -1;
  one.input = one.output = one.errors = -1;
  if (flags & 1) {
    one.terminal = true;
    one.output = openMaster();
    childInput = one.output < 0 ? one.output : openSlave(one.output);
    if (childInput < 0) {
      close(one.output);
      return -childInput;
    }
    one.input = one.output;
    setSize(one.output, load<u16>(payload, 4), load<u16>(payload, 6));
    childOutput = childErrors = childInput;
    setNonBlocking(one.output);
  } else {
    const failed = openPipes(one, flags);
    if (failed != 0) return failed;
    childInput = pipes(0);
    childOutput = pipes(1);
    childErrors = pipes(2);
  }

  childError = 0;
  const pid = vfork();
  if (pid == 0) become(one.terminal, childInput, childOutput, childErrors, payload, folder);
  close(childInput);
  if (!one.terminal) {
    close(childOutput);
    close(childErrors);
  }
  if (pid < 0 || childError != 0) {
    closeAll(one);
    return pid < 0 ? -pid : childError;
  }
  one.pid = pid;
  one.running = true;
  one.used = true;
  one.outputCredit = outputCredit;
  one.errorsCredit = outputCredit;
  sendNumber(STARTED, session, pid);
  return 0;
}

const childEnds = memory.data(16);

// @ts-ignore: decorator
@inline
function pipes(index: u32): i32 {
  return load<i32>(childEnds + (index << 2));
}

/** Three pipes, or /dev/null and two; the command's ends go to `childEnds`. */
function openPipes(one: Session, flags: u32): i32 {
  let failed: i32 = 0;
  if (flags & 2) {
    failed = open(devNull, O_RDWR | O_CLOEXEC);
    store<i32>(childEnds, failed);
  } else {
    failed = pipe(pair);
    store<i32>(childEnds, load<i32>(pair));
    one.input = load<i32>(pair, 4);
  }
  if (failed < 0) return -failed;
  failed = pipe(pair);
  one.output = load<i32>(pair);
  store<i32>(childEnds, load<i32>(pair, 4), 4);
  if (failed >= 0) {
    failed = pipe(pair);
    one.errors = load<i32>(pair);
    store<i32>(childEnds, load<i32>(pair, 4), 8);
    if (failed < 0) {
      close(one.output);
      close(pipes(1));
    }
  }
  if (failed < 0) {
    close(one.input);
    close(pipes(0));
    return -failed;
  }
  if (one.input >= 0) setNonBlocking(one.input);
  setNonBlocking(one.output);
  setNonBlocking(one.errors);
  return 0;
}

/** "/dev/null" */
const devNull = memory.data<u8>([47, 100, 101, 118, 47, 110, 117, 108, 108, 0]);
/** "PATH=" */
const pathName = memory.data<u8>([80, 65, 84, 72, 61]);

/** The child: becomes the program, or says why it cannot and ends. */
function become(terminal: bool, input: i32, output: i32, errors: i32, payload: usize, folder: usize): void {
  setsid();
  if (terminal) takeTerminal(input);
  dup2(input, 0);
  dup2(output, 1);
  dup2(errors, 2);
  let failed = chdir(folder);
  childStep = 1;
  if (failed >= 0) {
    childStep = 3;
    const user = load<u32>(payload, 8);
    const group = load<u32>(payload, 12);
    if (user != 0 || group != 0) failed = becomeUser(user, group);
  }
  if (failed >= 0) {
    childStep = 2;
    setSignalMask(0);
    failed = search(load<u32>(argv));
  }
  childError = -failed;
  exit(127);
}

/** Executes a program as a shell finds it: by its path, or in the folders of PATH. */
function search(name: usize): i32 {
  if (indexOf(name, 47) >= 0) return execve(name, argv, envp);
  let folders: usize = 0;
  for (let each: usize = envp; load<u32>(each) != 0; each += 8) {
    if (startsWith(load<u32>(each), pathName, 5)) folders = load<u32>(each) + 5;
  }
  const ENOENT = -2;
  let result = ENOENT;
  const length = lengthOf(name);
  while (folders != 0 && load<u8>(folders) != 0) {
    let size: u32 = 0;
    while (load<u8>(folders + size) != 0 && load<u8>(folders + size) != 58) size++;
    if (size > 0 && size + length + 2 <= 8192) {
      memory.copy(path, folders, size);
      store<u8>(path + size, 47);
      memory.copy(path + size + 1, name, length + 1);
      const failed = execve(path, argv, envp);
      // One that may not be executed is told of, unless another folder has one that may.
      if (failed != ENOENT && failed != -20) result = failed;
    }
    folders += size + (load<u8>(folders + size) == 58 ? 1 : 0);
  }
  return result;
}

/** The list of pointers that execve takes: 8 bytes each, ended by a zero. 0 where a string goes over the end. */
function listStrings(list: usize, count: u32, first: usize, end: usize): usize {
  let next = first;
  for (let i: u32 = 0; i < count; i++) {
    if (next == 0) return 0;
    store<u64>(list + (i << 3), next);
    next = afterString(next, end);
  }
  store<u64>(list + (count << 3), 0);
  return next;
}

function afterString(text: usize, end: usize): usize {
  if (text == 0) return 0;
  for (let each = text; each < end; each++) if (load<u8>(each) == 0) return each + 1;
  return 0;
}

function lengthOf(text: usize): u32 {
  let length: u32 = 0;
  while (load<u8>(text + length) != 0) length++;
  return length;
}

function indexOf(text: usize, sign: u32): i32 {
  for (let i: u32 = 0; load<u8>(text + i) != 0; i++) if (load<u8>(text + i) == sign) return i;
  return -1;
}

function startsWith(text: usize, prefix: usize, length: u32): bool {
  for (let i: u32 = 0; i < length; i++) if (load<u8>(text + i) != load<u8>(prefix + i)) return false;
  return true;
}

/** More of a command's input; nothing more where the frame is empty. What comes too late or too much is dropped. */
export function input(session: u32, frame: usize): void {
  const one = at(session);
  if (!one.used || one.inputEnded) return;
  const size = load<u32>(frame);
  if (size == 0) {
    one.inputEnded = true;
    // A terminal's end of input is a key.
    if (one.terminal && one.inputLength < inputSize) {
      store<u8>(bufferOf(session) + ((one.inputStart + one.inputLength) & (inputSize - 1)), 4);
      one.inputLength++;
    }
  }
  for (let i: u32 = 0; i < size && one.inputLength < inputSize; i++) {
    const place = (one.inputStart + one.inputLength) & (inputSize - 1);
    store<u8>(bufferOf(session) + place, load<u8>(frame + headerSize + i));
    one.inputLength++;
  }
  pumpInput(session);
}

/** Hands on what the command takes now. */
export function pumpInput(session: u32): void {
  const one = at(session);
  if (!one.used) return;
  let taken: u32 = 0;
  while (one.inputLength > 0 && one.input >= 0) {
    const run = min<u32>(one.inputLength, inputSize - one.inputStart);
    const written = write(one.input, bufferOf(session) + one.inputStart, run);
    if (written == EINTR) continue;
    if (written == EAGAIN) break;
    if (written < 0) {
      // Nobody reads it any more: all of it counts as taken.
      taken += one.inputLength;
      one.inputLength = 0;
      closeInput(one);
      break;
    }
    one.inputStart = (one.inputStart + written) & (inputSize - 1);
    one.inputLength -= written;
    taken += written;
  }
  if (one.input < 0) {
    taken += one.inputLength;
    one.inputLength = 0;
  }
  if (taken > 0) sendNumber(TAKEN, session, taken);
  if (one.inputEnded && one.inputLength == 0 && !one.terminal) closeInput(one);
}

function closeInput(one: Session): void {
  if (!one.terminal) close(one.input);
  one.input = -1;
}

/** Reads the streams that have credit; `readable` is bit 0 for the output, bit 1 for the errors. */
export function pumpOutput(session: u32, readable: u32): void {
  const one = at(session);
  if (!one.used) return;
  if (readable & 1 && one.output >= 0) {
    const got = pump(session, OUTPUT, one.output, one.outputCredit, one.running);
    if (got < 0) closeOutput(one, session);
    else one.outputCredit -= got;
  }
  if (readable & 2 && one.errors >= 0) {
    const got = pump(session, ERRORS, one.errors, one.errorsCredit, one.running);
    if (got < 0) {
      close(one.errors);
      one.errors = -1;
    } else one.errorsCredit -= got;
  }
  if (!one.running && one.output < 0 && one.errors < 0) finish(one, session);
}

/** The bytes sent on, or -1 at the stream's end: also when the command has ended and nothing is left to read. */
function pump(session: u32, kind: u32, fd: i32, credit: u32, running: bool): i32 {
  const size = min<u32>(credit, chunk);
  if (size == 0 || !hasRoom(size)) return 0;
  const got = read(fd, piece, size);
  if (got == EINTR) return 0;
  if (got == EAGAIN) return running ? 0 : -1;
  // A pseudo terminal whose other end is closed gives EIO.
  if (got <= 0) return -1;
  sendFrame(kind, session, piece, got);
  return got;
}

function closeOutput(one: Session, session: u32): void {
  close(one.output);
  if (one.terminal) {
    one.input = -1;
    pumpInput(session);
  }
  one.output = -1;
}

function finish(one: Session, session: u32): void {
  closeAll(one);
  one.used = false;
  sendNumber(EXIT, session, one.status);
}

function closeAll(one: Session): void {
  if (!one.terminal) close(one.input);
  close(one.output);
  close(one.errors);
  one.input = one.output = one.errors = -1;
}

export function ended(pid: i32, status: i32): void {
  for (let session: u32 = 0; session < sessionCount; session++) {
    const one = at(session);
    if (!one.used || one.pid != pid) continue;
    one.running = false;
    one.status = status;
    return;
  }
}

/** Bytes of output, then of errors, that the host can take besides. */
export function credit(session: u32, frame: usize): void {
  const one = at(session);
  if (!one.used || load<u32>(frame) < 8) return;
  one.outputCredit = min<u32>(one.outputCredit + load<u32>(frame + headerSize), outputCredit);
  one.errorsCredit = min<u32>(one.errorsCredit + load<u32>(frame + headerSize, 4), outputCredit);
}

/** To all that the command started and that did not leave its group. */
export function signal(session: u32, frame: usize): void {
  const one = at(session);
  if (!one.used || load<u32>(frame) < 4) return;
  const number = load<i32>(frame + headerSize);
  if (number < 1 || number > 64) return;
  if (one.running) kill(-one.pid, number);
  // One that ended left others behind, who may hold its streams.
  else if (number == SIGKILL) kill(-one.pid, number);
}

/** A bit for each session that has a command. */
export function busy(): u64 {
  let bits: u64 = 0;
  for (let session: u32 = 0; session < sessionCount; session++) if (at(session).used) bits |= (<u64>1) << session;
  return bits;
}

export function resize(session: u32, frame: usize): void {
  const one = at(session);
  if (!one.used || !one.terminal || one.output < 0 || load<u32>(frame) < 4) return;
  setSize(one.output, load<u16>(frame + headerSize), load<u16>(frame + headerSize, 2));
}
