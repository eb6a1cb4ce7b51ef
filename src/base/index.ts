export { assert, assertNever, Bug } from "./assert.ts";
export { allocateByteRing, ByteRingReader, ByteRingWriter } from "./byte-ring.ts";
export { littleEndian } from "./little-endian.ts";
export { allocateMessageRing, MessageReceiver, MessageSender } from "./message-ring.ts";
export { xxh64Low } from "./xxh64.ts";
export { parseValue, printValue, type Value, ValueError } from "./values.ts";
