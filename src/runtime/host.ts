/** What the runtime asks of the TypeScript side. Called rarely: every call costs tens of nanoseconds. */

// @ts-ignore: decorator
@external("host", "mmioRead")
export declare function mmioRead(gpaHigh: u32, gpaLow: u32, size: u32): u32;
// @ts-ignore: decorator
@external("host", "mmioWrite")
export declare function mmioWrite(gpaHigh: u32, gpaLow: u32, size: u32, value: u32): void;
/** All blocks of this frame were forgotten; compiled regions made from them must go, too. */
// @ts-ignore: decorator
@external("host", "frameInvalidated")
export declare function frameInvalidated(frame: u32): void;
