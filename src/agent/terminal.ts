/** Terminals: pseudo terminals for commands, raw mode for a serial line, and sizes. */
import { ioctl, O_CLOEXEC, O_NOCTTY, O_RDWR, open } from "./kernel";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCSCTTY = 0x540e;
const TIOCSWINSZ = 0x5414;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;

/** "/dev/ptmx", "/dev/ttyS0" */
const ptmx = memory.data<u8>([47, 100, 101, 118, 47, 112, 116, 109, 120, 0]);
const console = memory.data<u8>([47, 100, 101, 118, 47, 116, 116, 121, 83, 48, 0]);
/** "/dev/pts/" and room for a number */
const pts = memory.data<u8>([47, 100, 101, 118, 47, 112, 116, 115, 47, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const ptsPrefix = 9;
const scratch = memory.data(64);

export function openMaster(): i32 {
  const master = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return master;
  store<i32>(scratch, 0);
  ioctl(master, TIOCSPTLCK, scratch);
  return master;
}

/** The other end of a pseudo terminal. */
export function openSlave(master: i32): i32 {
  const failed = ioctl(master, TIOCGPTN, scratch);
  if (failed < 0) return failed;
  let number = load<u32>(scratch);
  let digits = 1;
  for (let rest = number / 10; rest > 0; rest /= 10) digits++;
  store<u8>(pts + ptsPrefix + digits, 0);
  while (digits > 0) {
    digits--;
    store<u8>(pts + ptsPrefix + digits, <u8>(48 + (number % 10)));
    number /= 10;
  }
  return open(pts, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/** Makes a terminal the one of this session, whose signals its keys then send. */
export function takeTerminal(fd: i32): void {
  ioctl(fd, TIOCSCTTY, 0);
}

export function setSize(fd: i32, rows: u32, columns: u32): void {
  store<u64>(scratch, 0);
  store<u16>(scratch, <u16>rows);
  store<u16>(scratch, <u16>columns, 2);
  ioctl(fd, TIOCSWINSZ, scratch);
}

export function openConsole(): i32 {
  return open(console, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/** Eight bits as they are, 115200 baud, no modem lines; what is no terminal stays as it is. */
export function makeRaw(fd: i32): void {
  if (ioctl(fd, TCGETS, scratch) < 0) return;
  const CS8 = 0o60;
  const CREAD = 0o200;
  const CLOCAL = 0o4000;
  const B115200 = 0o10002;
  // struct termios of the kernel: input, output, control and local flags, then the line discipline and characters.
  store<u32>(scratch, 0);
  store<u32>(scratch, 0, 4);
  store<u32>(scratch, CS8 | CREAD | CLOCAL | B115200, 8);
  store<u32>(scratch, 0, 12);
  const VTIME = 5;
  const VMIN = 6;
  store<u8>(scratch + 17 + VTIME, 0);
  store<u8>(scratch + 17 + VMIN, 1);
  ioctl(fd, TCSETS, scratch);
}
