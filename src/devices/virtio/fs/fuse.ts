/** The wire of FUSE, for who speaks it to another kernel than a guest's: numbers, requests from bytes, replies to bytes. */
export {
  allocateFlag,
  entryBytes,
  errno,
  fileType,
  inHeaderBytes,
  initFlag,
  maxWriteBytes,
  opcode,
  openFlag,
  outHeaderBytes,
  seekTo,
  writeArgumentBytes,
} from "./protocol.ts";
export {
  answerHeader,
  attributesReply,
  dirEntry,
  dirEntrySize,
  entryReply,
  initReply,
  openReply,
  seekReply,
  statfsReply,
  writeReply,
} from "./reply.ts";
export { type Header, parseHeader, parseRequest, type Request } from "./request.ts";
export { type Attributes, type Changes, ShareError } from "./share-host.ts";
