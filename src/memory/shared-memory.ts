/**
 * Has the calling thread see a shared memory as long as it is. V8 tells each thread that a memory has grown, but for one that just begins: where the
 * memory grew between its being sent there and the thread's being ready, `buffer` keeps the old length until it grows once more (8 of
 * 411 threads that began while a memory grew 50,000 times a second). Growing by nothing counts as that.
 */
export function seeWhole(memory: WebAssembly.Memory): void {
  memory.grow(0);
}
