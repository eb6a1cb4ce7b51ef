export { StreamHub } from "./hub.ts";
export { Incoming } from "./incoming.ts";
export type { DeviceStream, StreamEnd, StreamProvider, StreamSource } from "./stream.ts";
export type { RecordKind, StreamMessage } from "./wire.ts";
export { longestRecord, recordHeaderBytes, recordKind, streamRingBytes, streamWindow, writeRecord } from "./wire.ts";
