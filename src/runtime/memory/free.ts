/**
 * Frames that nobody uses, in two lists: those that still hold what they held, and those whose memory the host has taken back, which
 * read as zeros and cost it nothing until they are used again.
 *
 * Requires of all but `take_free` and `put_free`: P_FRAME_LOCK is held.
 */
import * as L from "../layout";
import { lock, unlock } from "./exclusive";

function linkAt(frame: u32): u32 {
  return L.FRAME_LINKS + ((frame >> 12) << 2);
}

// @ts-ignore: decorator
@inline function push(head: u32, count: u32, frame: u32): void {
  store<u32>(linkAt(frame), load<u32>(L.PROCESS + head));
  store<u32>(L.PROCESS + head, frame);
  store<u32>(L.PROCESS + count, load<u32>(L.PROCESS + count) + 1);
}

// @ts-ignore: decorator
@inline function pop(head: u32, count: u32): u32 {
  const frame = load<u32>(L.PROCESS + head);
  if (frame == 0) return 0;
  store<u32>(L.PROCESS + head, load<u32>(linkAt(frame)));
  store<u32>(L.PROCESS + count, load<u32>(L.PROCESS + count) - 1);
  return frame;
}

/** A frame given back, which holds anything, or 0. */
export function takeFree(): u32 {
  return pop(L.P_FRAME_FREE, L.P_FREE_COUNT);
}

/** A frame of zeros, or 0. */
export function takeEmpty(): u32 {
  return pop(L.P_FRAME_EMPTY, L.P_EMPTY_COUNT);
}

export function putFree(frame: u32): void {
  push(L.P_FRAME_FREE, L.P_FREE_COUNT, frame);
}

/** Takes at most `most` of the frames given back off their list, to the words at `list`; how many. */
export function take_free(list: u32, most: u32): u32 {
  lock(L.PROCESS + L.P_FRAME_LOCK);
  let count: u32 = 0;
  while (count < most) {
    const frame = takeFree();
    if (frame == 0) break;
    store<u32>(list + (count << 2), frame);
    count++;
  }
  unlock(L.PROCESS + L.P_FRAME_LOCK);
  return count;
}

/** Puts such frames back; `empty`: the host has taken their memory. */
export function put_free(list: u32, count: u32, empty: u32): void {
  lock(L.PROCESS + L.P_FRAME_LOCK);
  for (let n: u32 = 0; n < count; n++) {
    const frame = load<u32>(list + (n << 2));
    if (empty != 0) push(L.P_FRAME_EMPTY, L.P_EMPTY_COUNT, frame);
    else putFree(frame);
  }
  unlock(L.PROCESS + L.P_FRAME_LOCK);
}
