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
/** Gives a guest frame of an address space a frame, with the bytes that its memory object has. */
// @ts-ignore: decorator
@external("host", "fillFrame")
export declare function fillFrame(space: u32, gfn: u32): void;
/** Nonzero where a guest frame that has no frame would get one without waiting; else its page is asked for. */
// @ts-ignore: decorator
@external("host", "comesAtOnce")
export declare function comesAtOnce(space: u32, gfn: u32): u32;
/** A token for a guest that would not wait for a page; 0: it has waited. */
// @ts-ignore: decorator
@external("host", "deferFault")
export declare function deferFault(space: u32, gfn: u32): u32;
/** There is no frame to give, and no going on without: does not come back. */
// @ts-ignore: decorator
@external("host", "noMemory")
export declare function noMemory(): void;
// @ts-ignore: decorator
@external("host", "portRead")
export declare function portRead(port: u32, size: u32): u32;
// @ts-ignore: decorator
@external("host", "portWrite")
export declare function portWrite(port: u32, size: u32, value: u32): void;
/** 1 = done, the value is in MSR_DATA of the current vCPU; 0 = #GP. */
// @ts-ignore: decorator
@external("host", "msrRead")
export declare function msrRead(index: u32): u32;
// @ts-ignore: decorator
@external("host", "msrWrite")
export declare function msrWrite(index: u32, low: u32, high: u32): u32;
/** The machine's counter; a vCPU adds its TSC_OFFSET. */
// @ts-ignore: decorator
@external("host", "readTsc")
export declare function readTsc(): u64;
/** The answer goes to CPUID_RESULT of the current vCPU. */
// @ts-ignore: decorator
@external("host", "cpuid")
export declare function cpuid(leaf: u32, subleaf: u32): void;
// @ts-ignore: decorator
@external("host", "random64")
export declare function random64(): u64;
/** CR8 was written: the local APIC's task priority follows. */
// @ts-ignore: decorator
@external("host", "writeCr8")
export declare function writeCr8(value: u32): void;
/** TSC_OFFSET has changed: a deadline in terms of the TSC now lies elsewhere. */
// @ts-ignore: decorator
@external("host", "tscChanged")
export declare function tscChanged(): void;
