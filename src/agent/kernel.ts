/**
 * Linux's system calls (x86-64), as the agent needs them. An address of the module's memory is an address of the process:
 * tools/agent/ lays the memory out so.
 *
 * Results are the kernel's: below zero an error number.
 */
// @ts-ignore: decorator
@external("kernel", "call")
declare function call(number: i64, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64): i64;

export const EINTR = -4;
export const EAGAIN = -11;

export const O_RDWR = 2;
export const O_NOCTTY = 0o400;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

export const POLLIN: u32 = 1;
export const POLLOUT: u32 = 4;

export const SIGKILL = 9;
const SIGPIPE = 13;
const SIGCHLD = 17;

export function read(fd: i32, at: usize, size: u32): i32 {
  return <i32>call(0, fd, at, size, 0, 0, 0);
}

export function write(fd: i32, at: usize, size: u32): i32 {
  return <i32>call(1, fd, at, size, 0, 0, 0);
}

/** `path` ends with a zero byte. */
export function open(path: usize, flags: i32): i32 {
  return <i32>call(2, path, flags, 0, 0, 0, 0);
}

export function close(fd: i32): void {
  if (fd >= 0) call(3, fd, 0, 0, 0, 0, 0);
}

/** `entries` are struct pollfd: i32 fd, i16 events, i16 returned events; one whose fd is -1 is passed over. */
export function poll(entries: usize, count: u32, timeoutMs: i32): i32 {
  return <i32>call(7, entries, count, timeoutMs, 0, 0, 0);
}

export function ioctl(fd: i32, request: u32, argument: usize): i32 {
  return <i32>call(16, fd, request, argument, 0, 0, 0);
}

export function dup2(from: i32, to: i32): i32 {
  return <i32>call(33, from, to, 0, 0, 0, 0);
}

/** Writes two i32 descriptors, to read and to write, both close-on-exec. */
export function pipe(at: usize): i32 {
  return <i32>call(293, at, O_CLOEXEC, 0, 0, 0, 0);
}

export function setNonBlocking(fd: i32): void {
  const F_GETFL = 3;
  const F_SETFL = 4;
  const flags = call(72, fd, F_GETFL, 0, 0, 0, 0);
  call(72, fd, F_SETFL, flags | O_NONBLOCK, 0, 0, 0);
}

/**
 * A child that has this very memory until it executes a program or ends; the parent stands still so long. 0 in the child.
 * Requires: the child never returns from the function that calls this.
 */
// @ts-ignore: decorator
@inline
export function vfork(): i32 {
  const CLONE_VM = 0x100;
  const CLONE_VFORK = 0x4000;
  return <i32>call(56, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0, 0);
}

export function execve(path: usize, argv: usize, envp: usize): i32 {
  return <i32>call(59, path, argv, envp, 0, 0, 0);
}

const alone = memory.data(16);

/** Executes a program without arguments or variables. Comes back when it cannot. */
export function become(path: usize): void {
  store<u64>(alone, path);
  store<u64>(alone, 0, 8);
  execve(path, alone, alone + 8);
}

export function exit(status: i32): void {
  call(231, status, 0, 0, 0, 0, 0);
}

/** The process that ended, 0 or less when none did; its status goes to `status`. */
export function reap(status: usize): i32 {
  const WNOHANG = 1;
  return <i32>call(61, -1, status, WNOHANG, 0, 0, 0);
}

/** A `pid` below zero names a process group. */
export function kill(pid: i32, signal: i32): i32 {
  return <i32>call(62, pid, signal, 0, 0, 0, 0);
}

export function chdir(path: usize): i32 {
  return <i32>call(80, path, 0, 0, 0, 0, 0);
}

export function setsid(): void {
  call(112, 0, 0, 0, 0, 0, 0);
}

/** The groups first: the right to change them goes with the user. */
export function becomeUser(user: u32, group: u32): i32 {
  if (call(116, 0, 0, 0, 0, 0, 0) < 0) return -1;
  if (call(106, group, 0, 0, 0, 0, 0) < 0) return -1;
  return <i32>call(105, user, 0, 0, 0, 0, 0);
}

const scratch = memory.data(8);

/** A descriptor that can be read when a child ended. No write to a closed pipe ends this process either. */
export function watchChildren(): i32 {
  setSignalMask((1 << (SIGCHLD - 1)) | (1 << (SIGPIPE - 1)));
  store<u64>(scratch, 1 << (SIGCHLD - 1));
  return <i32>call(289, -1, scratch, 8, O_CLOEXEC | O_NONBLOCK, 0, 0);
}

/** The blocked signals, a bit each. */
export function setSignalMask(mask: u64): void {
  const SIG_SETMASK = 2;
  store<u64>(scratch, mask);
  call(14, SIG_SETMASK, scratch, 0, 8, 0, 0);
}

const action = memory.data(32);

/** What a shell above us had set to be ignored would be so in every program below. */
export function resetSignalHandlers(): void {
  memory.fill(action, 0, 32);
  for (let signal = 1; signal < 32; signal++) call(13, signal, action, 0, 8, 0, 0);
}

/** `time` is a struct timespec: i64 seconds and i64 nanoseconds since 1970. */
export function setRealTime(time: usize): void {
  const CLOCK_REALTIME = 0;
  call(227, CLOCK_REALTIME, time, 0, 0, 0, 0);
}

/** "/" */
const rootFolder = memory.data<u8>([47, 0]);

/** Ends everything else, so that nothing writes any more and the root can be left whole; then the machine. */
export function powerOff(): void {
  const MS_RDONLY = 1;
  const MS_REMOUNT = 32;
  kill(-1, SIGKILL);
  call(165, rootFolder, rootFolder, 0, MS_REMOUNT | MS_RDONLY, 0, 0);
  call(162, 0, 0, 0, 0, 0, 0);
  call(169, 0xfee1dead, 0x28121969, 0x4321fedc, 0, 0, 0);
}
