/** What a machine that goes on from a snapshot has to learn: the time, and randomness that no other copy of it has. */
import { close, ioctl, O_CLOEXEC, O_RDWR, open, setRealTime } from "./kernel";

const RNDADDENTROPY = 0x40085203;
const RNDRESEEDCRNG = 0x5207;
export const entropyBytes: u32 = 32;

/** "/dev/random" */
const random = memory.data<u8>([47, 100, 101, 118, 47, 114, 97, 110, 100, 111, 109, 0]);
/** struct rand_pool_info: i32 bits of entropy, i32 size, the bytes. */
const pool = memory.data(40);

/** `bytes`: `entropyBytes` of them. */
export function stirRandom(bytes: usize): void {
  const fd = open(random, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  store<u32>(pool, 8 * entropyBytes);
  store<u32>(pool, entropyBytes, 4);
  memory.copy(pool + 8, bytes, entropyBytes);
  ioctl(fd, RNDADDENTROPY, pool);
  ioctl(fd, RNDRESEEDCRNG, 0);
  close(fd);
}

/** `time`: u64 seconds and u64 nanoseconds since 1970; zeros leave the clock as it is. */
export function setClock(time: usize): void {
  if (load<u64>(time) != 0) setRealTime(time);
}
