export { LentFile, type SharedFiles } from "./lent-file.ts";
export type { IoLine, IoLineStart, IoRequest } from "./line.ts";
export { IoError, MachineLine } from "./line.ts";
export { type Beside, NearLine, type NearService } from "./near-line.ts";
export type { IoService, IoThreadHost, IoThreadSetup, OpenService, ServicePort } from "./service.ts";
export { ioWords, runIoThread } from "./service.ts";
